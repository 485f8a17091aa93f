/** The declared types of records and events are what the engine gives: scenarios' answers are held against them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import ts from 'typescript';

import { Limitr } from '../dist/node.js';
import { PACKAGE } from './support/folders.js';
import { traces } from './support/trace.js';

/** What operations answer, where the answer is a record. */
const ANSWERS: Record<string, string> = {
  explain: 'Explanation',
  estimate: 'Estimate',
  meter_obj: 'Meter',
  limit_obj: 'Limit',
  entitlement: 'Entitlement',
  credit: 'Credit',
  credit_for: 'Credit',
  plan: 'Plan',
  plan_for: 'Plan',
  default_plan: 'Plan',
  customer: 'Customer',
  create_customer: 'Customer',
  customer_cap: 'Cap',
  add_customer_cap: 'Cap',
  create_customer_override: 'Limit',
  customer_margin: 'MarginSnapshot',
  plan_margin: 'MarginSnapshot',
  capture_margin_measurement: 'MarginMeasurement',
  capability: 'Capability',
  claude_tools: 'Tool[]',
  claude_tool_use: 'ToolResult',
};

const file = join(PACKAGE, 'src', 'records.ts');
const program = ts.createProgram([file], { strict: true, exactOptionalPropertyTypes: true, noEmit: true });
const checker = program.getTypeChecker();
const source = program.getSourceFile(file);
assert(source !== undefined);
const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(source) as ts.Symbol);
const declared = (name: string): ts.Type => {
  const symbol = exported.find((candidate) => candidate.name === name);
  assert(symbol !== undefined, `no type \`${name}\` is declared`);
  return checker.getDeclaredTypeOfSymbol(symbol);
};

/** Where `value` is not what is declared under `name`, of which it may be a list. */
function unlike(name: string, value: unknown): string | undefined {
  if (!name.endsWith('[]')) return mismatch(declared(name), value, name);
  const type = declared(name.slice(0, -2));
  return Array.isArray(value) ? first(value, (item, at) => mismatch(type, item, `${name}[${at}]`)) : `${name} is no list`;
}

/** Where `value` is not of `type`; undefined where it is. */
function mismatch(type: ts.Type, value: unknown, path: string): string | undefined {
  if (type.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) return undefined;
  if (type.isUnion()) {
    const members = type.types.filter((member) => !(member.flags & ts.TypeFlags.Undefined));
    const found = members.map((member) => mismatch(member, value, path));
    return found.includes(undefined) ? undefined : (found.find((text) => text?.startsWith(`${path}.`)) ?? found[0]);
  }
  if (typeof value !== 'object' || value === null) {
    const is = value === null ? 'null' : typeof value;
    const wanted = checker.typeToString(type);
    return wanted === is || wanted === JSON.stringify(value) ? undefined : `${path} is ${is}, declared ${wanted}`;
  }
  const index = checker.getIndexTypeOfType(type, Array.isArray(value) ? ts.IndexKind.Number : ts.IndexKind.String);
  if (Array.isArray(value)) {
    if (index === undefined) return `${path} is a list, declared ${checker.typeToString(type)}`;
    return first(value, (item, at) => mismatch(index, item, `${path}[${at}]`));
  }
  const missing = checker
    .getPropertiesOfType(type)
    .find((property) => !(property.flags & ts.SymbolFlags.Optional) && !(property.name in value));
  if (missing !== undefined && type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) return `${path}.${missing.name} is missing`;
  return first(Object.entries(value), ([name, field]) => {
    const property = checker.getPropertyOfType(type, name);
    const of = property === undefined ? (extension(type, name) ?? index) : checker.getTypeOfSymbol(property);
    return of === undefined ? `${path}.${name} is not declared` : mismatch(of, field, `${path}.${name}`);
  });
}

/** What is declared of the fields that begin with `x-`, where `name` is one. */
function extension(type: ts.Type, name: string): ts.Type | undefined {
  const info = checker.getIndexInfosOfType(type).find(({ keyType }) => keyType.flags & ts.TypeFlags.TemplateLiteral);
  return name.startsWith('x-') ? info?.type : undefined;
}

function first<T>(items: T[], judge: (item: T, at: number) => string | undefined): string | undefined {
  for (const [at, item] of items.entries()) {
    const found = judge(item, at);
    if (found !== undefined) return found;
  }
  return undefined;
}

const native = await traces('conformance');

test('answers are of their declared types', () => {
  const seen = new Set<string>();
  for (const { file, steps } of native) {
    for (const { verb, result } of steps) {
      const name = ANSWERS[verb];
      if (name === undefined || result === undefined || result === 'null') continue;
      seen.add(name);
      assert.equal(unlike(name, JSON.parse(result)), undefined, `${file}: ${verb}`);
    }
  }
  assert.deepEqual([...seen].sort(), [...new Set(Object.values(ANSWERS))].sort());
});

test('policies are of the declared type, and have all of it', async () => {
  const document = declared('PolicyDocument');
  const seen = new Set<string>();
  for (const { file, policy, refused, validate } of native) {
    if (refused !== undefined) continue;
    using limitr = await Limitr.new(policy, 'json', validate);
    const { policy: record } = limitr.doc.record();
    assert.equal(mismatch(document, record, 'policy'), undefined, file);
    for (const field of Object.keys(record)) seen.add(field);
  }
  const missing = checker.getPropertiesOfType(document).filter(({ name }) => !seen.has(name));
  assert.deepEqual(missing, []);
});

test('snapshots are of customers', () => {
  const customer = declared('Customer');
  for (const { file, customers } of native) {
    for (const [id, record] of Object.entries(JSON.parse(customers ?? '{}'))) {
      assert.equal(mismatch(customer, record, `Customer ${id}`), undefined, file);
    }
  }
});

test('events carry what is declared of them, and all of them occur', () => {
  const payloads = declared('EventPayloads');
  const notification = declared('NotificationPayload');
  const matched = new Set<string>();
  const seen = new Set<string>();
  for (const { file, steps } of native) {
    for (const { name, value } of steps.flatMap((step) => step.events)) {
      const payload = JSON.parse(value);
      if (payload.notification?.name === name) {
        assert.equal(mismatch(notification, payload, name), undefined, file);
        matched.add(payload.notification.event);
        continue;
      }
      const property = checker.getPropertyOfType(payloads, name);
      assert(property !== undefined, `${file}: event \`${name}\` is not declared`);
      seen.add(name);
      assert.equal(mismatch(checker.getTypeOfSymbol(property), payload, name), undefined, file);
    }
  }
  // Those of a connection have their tests in `cloud-offline.test.ts`: no scenario has a server.
  const all = checker.getPropertiesOfType(payloads).map(({ name }) => name);
  assert.deepEqual([...seen].sort(), all.filter((name) => !name.startsWith('cloud-')).sort());
  // So that its fields, which are those of any event, are held against several.
  for (const event of ['meter-changed', 'cap-limit', 'customer-plan-changed', 'logic-error', 'plan-set']) {
    assert(matched.has(event), `no notification of \`${event}\` occurs`);
  }
});
