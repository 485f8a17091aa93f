"""Makes the seeds in regressions/ and dictionary.txt.

For json, yaml and toml it takes the policies of the smallest conformance scenarios that between them use every field
name; the targets that read choices off their input get a few random bytes. Run it from this folder: python3 seeds.py
"""

import glob
import json
import os
import random

import yaml

WORDS = """hard soft observe flat tiered volume stairstep expires_first cheapest_first valuable_first yearly monthly
weekly daily rollover add rune usd float int true false null monthly:last monthly:31 weekly:mon nth_weekday:2:fri
yearly:2-29 quarterly:15 1GB 10MB 1day 10min 30days 50ms 1e28 1e-28 79228162514264337593543950335 .nan .inf nan inf <<
x- id plan type label alt_ids refs metadata meters overrides grants caps started value overhead holds history ts delta
ewma_rate governor_tokens governor_last_refill topup created_on granted_on starting_value expires_on last_reset
exchangeable overage_only ignore_grants observe_only overhead_cost follow_decrements shared shared_with scope meter_value
idempotency samples alpha value_mean value_var overhead_mean overhead_var source updated basis segment""".split()
SYNTAX = [": ", "- ", "{", "}", "[", "]", "&a ", "*a", "<<: *a", "? ", "|\\x0a", ">-\\x0a", "---\\x0a", "...", "!!str ",
          "!!int ", "\\x0a  ", "\\\"", "'", "\\\"\\\"\\\"", "'''", "[[", "]]", " = ", "0x", "\\\\u0000", "\\xef\\xbb\\xbf", "# "]


def names(value):
    if isinstance(value, dict):
        return set(value) | {name for item in value.values() for name in names(item)}
    if isinstance(value, list):
        return {name for item in value for name in names(item)}
    return {value} if isinstance(value, str) else set()


def scenarios():
    for path in sorted(glob.glob("../../../conformance/cases/*/*.yaml")):
        with open(path) as file:
            case = yaml.safe_load(file)
        if case.get("valid") is not False and isinstance(case.get("policy"), dict):
            yield os.path.splitext(os.path.basename(path))[0], case["policy"]


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(k))} = {toml(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def main():
    left = {name: policy for name, policy in scenarios() if len(json.dumps(policy, default=str)) < 900}
    seen, chosen = set(), {}
    while left:
        name = max(left, key=lambda name: (len(names(left[name]) - seen) / len(json.dumps(left[name], default=str)), name))
        fresh = names(left[name]) - seen
        seen |= fresh
        policy = left.pop(name)
        if len(fresh) >= 7:
            chosen[name] = policy
        if not fresh:
            break
    for name, policy in chosen.items():
        document = {"policy": policy}
        for kind, text in (
            ("json", json.dumps(document, default=str)),
            ("yaml", yaml.safe_dump(document, sort_keys=False)),
            ("toml", "\n".join(f"policy.{json.dumps(key)} = {toml(value)}" for key, value in policy.items()) + "\n"),
        ):
            os.makedirs(f"regressions/{kind}", exist_ok=True)
            with open(f"regressions/{kind}/seed-{name}", "w") as file:
                file.write(text)
    for kind in ("validate", "record", "calls", "conversions"):
        os.makedirs(f"regressions/{kind}", exist_ok=True)
        for seed in range(4):
            with open(f"regressions/{kind}/seed-{seed}", "wb") as file:
                file.write((b"\x01" if kind == "record" else b"") + random.Random(seed).randbytes(100 << seed % 3))
    words = sorted(word for word in seen | set(WORDS) if len(word) < 40 and word.isascii())
    with open("dictionary.txt", "w") as file:
        file.writelines(f'"{word}"\n' for word in words if '"' not in word and "\\" not in word)
        file.writelines(f'"{word}"\n' for word in SYNTAX)
    print(len(chosen), "seeds,", len(words), "words")


main()
