//! What functions can call of Stof's own libraries: what computes a value from values, in bounded time, the same on every
//! machine. Nothing prints, waits, reads clocks or the environment, or changes an object.

/// Libraries, and what can be called of each.
const CALLABLE: &[(&str, &[&str])] = &[
    ("Std", &["inf", "list", "map", "max", "min", "nan", "set", "str", "throw"]),
    (
        "Num",
        &[
            "abs",
            "ceil",
            "floor",
            "fract",
            "has_units",
            "inf",
            "max",
            "min",
            "nan",
            "remove_units",
            "round",
            "signum",
            "sqrt",
            "to_string",
            "to_units",
            "trunc",
        ],
    ),
    (
        "Str",
        &["contains", "ends_with", "len", "lower", "split", "starts_with", "trim", "trim_end", "trim_start", "upper"],
    ),
    (
        "List",
        &[
            "any",
            "append",
            "at",
            "back",
            "clear",
            "contains",
            "empty",
            "front",
            "index_of",
            "insert",
            "join",
            "len",
            "pop_back",
            "pop_front",
            "push_back",
            "push_front",
            "remove",
            "remove_all",
            "remove_first",
            "remove_last",
            "reverse",
            "reversed",
            "sort",
        ],
    ),
    (
        "Map",
        &[
            "any", "append", "at", "clear", "contains", "empty", "first", "get", "insert", "keys", "last", "len",
            "remove", "values",
        ],
    ),
    ("Set", &["any", "append", "at", "clear", "contains", "empty", "first", "insert", "last", "len", "remove"]),
    ("Obj", &["any", "at", "contains", "empty", "exists", "get", "len", "name"]),
    ("Tup", &["at", "len"]),
];

pub(crate) fn is_library(name: &str) -> bool {
    CALLABLE.iter().any(|(library, _)| *library == name)
}

pub(crate) fn is_function(library: &str, name: &str) -> bool {
    CALLABLE.iter().any(|(known, names)| *known == library && names.contains(&name))
}
