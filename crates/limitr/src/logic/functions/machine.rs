//! Running a function: an instruction at a time, within a budget, and without leaving a trace.
//!
//! The crate's own way to call a function has no bound but time, and values that hold themselves make it deadlock or
//! overflow the stack. So every instruction passes here: what it may do is looked at before, and what it made after.

use std::ops::Deref as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value as Json;
use stof::imbl::Vector;
use stof::model::{DataRef, Field, Graph, NodeRef};
use stof::runtime::instruction::{Instruction, Instructions};
use stof::runtime::instructions::call::FuncCall;
use stof::runtime::instructions::{Base, ops::Op};
use stof::runtime::proc::{ProcEnv, ProcRes, Process};
use stof::runtime::{Type, Val, ValRef, Variable};

use super::callable;
use super::values::{Argument, Builder, to_json};
use super::weigh::{Cells, holds, weigh};

/// Most steps of a call. A step is an instruction; big values and jumps over long bodies are more.
const MAX_STEPS: usize = 10_000;
/// Most calls within calls, and most values in hand.
const MAX_CALLS: usize = 64;
const MAX_STACK: usize = 4_096;
/// The fields of a capability's object.
const INPUT: &str = "input";
const OUTPUT: &str = "output";
/// How many values, and instructions that are jumped over, make a step.
const VALUES: usize = 16;
const JUMPED: usize = 8;

/// What stands before the instructions of a library's function: how many arguments it has, and whether they may be objects.
const GUARD: &str = "#guard ";
/// Kinds of guards: functions that take objects too, those with a cost of their own, and "v" for all others.
const OBJECTS: &str = "o";
const JOIN: &str = "j";
const SORT: &str = "s";
/// Steps for each value that is sorted.
const SORTED: usize = 2;
/// Guards for up to so many arguments are there before they are asked for.
const USUAL: usize = 4;

/// A graph to run functions in.
pub(super) struct Machine {
    pub(super) graph: Graph,
    process: Option<Process>,
    /// How many nodes and data there are in the document.
    size: (usize, usize),
    /// Whether the crate panicked in it.
    broken: bool,
}

/// A function that is called, and where it stands.
pub(super) struct Target<'p> {
    pub(super) function: &'p DataRef,
    pub(super) parameters: &'p [Type],
    /// Where it stands.
    pub(super) object: &'p NodeRef,
    /// What a capability is given; it may set the `output` of its object.
    pub(super) input: Option<&'p Json>,
}

impl Machine {
    pub(super) fn new(graph: Graph) -> Self {
        let size = (graph.nodes.len(), graph.data.len());
        Self { graph, process: None, size, broken: false }
    }

    /// Whether a call left the graph as it was.
    pub(super) fn is_clean(&self) -> bool {
        (self.graph.nodes.len(), self.graph.data.len()) == self.size && !self.broken
    }

    pub(super) fn call(
        &mut self,
        target: &Target<'_>,
        arguments: &[Argument<'_>],
        own: &Cells,
    ) -> Result<Json, String> {
        let mut objects = Vec::new();
        let result = self.call_with(target, arguments, own, &mut objects);
        if target.input.is_some() {
            for name in [INPUT, OUTPUT] {
                if let Some(data) = self.field(target.object, name) {
                    self.graph.remove_data(&data, None);
                }
            }
        }
        for object in objects {
            self.graph.remove_node(&object, false);
        }
        result
    }

    /// Makes the arguments, of which `objects` are to be removed again, and calls.
    fn call_with(
        &mut self,
        target: &Target<'_>,
        arguments: &[Argument<'_>],
        own: &Cells,
        objects: &mut Vec<NodeRef>,
    ) -> Result<Json, String> {
        let mut build = Builder::new(&mut self.graph, 'a');
        let mut given = Vec::with_capacity(target.parameters.len());
        for (argument, kind) in arguments.iter().zip(target.parameters) {
            let value = build.argument(*argument, kind);
            objects.append(&mut build.made);
            given.push(value?);
        }
        if let Some(input) = target.input {
            let empty = Json::Object(serde_json::Map::new());
            for (name, data) in [(INPUT, input), (OUTPUT, &empty)] {
                let value = build.place(data, Some((name, target.object)), 0);
                objects.append(&mut build.made);
                build.field(target.object, name, Variable::val(value?));
            }
        }
        // What is refused cannot panic the crate, as far as anybody knows; a policy's function must not end the program.
        let result = catch_unwind(AssertUnwindSafe(|| self.run(target, given, own)));
        self.broken = result.is_err();
        match result.unwrap_or_else(|_| Err("the function could not be run".to_owned()))? {
            Val::Void | Val::Null if target.input.is_some() => {
                let output = self.field(target.object, OUTPUT);
                let output = output.and_then(|data| self.graph.get_stof_data::<Field>(&data));
                output.map_or(Ok(Json::Null), |field| to_json(&self.graph, field.value.val.read().deref()))
            }
            result => to_json(&self.graph, &result),
        }
    }

    fn field(&self, object: &NodeRef, name: &str) -> Option<DataRef> {
        object.node(&self.graph)?.get_data(name).cloned()
    }

    fn run(&mut self, target: &Target<'_>, arguments: Vec<Val>, own: &Cells) -> Result<Val, String> {
        let literal = |value| Arc::new(Base::Literal(value)) as Arc<dyn Instruction>;
        let call = FuncCall {
            as_ref: false,
            cnull: false,
            stack: false,
            func: Some(target.function.clone()),
            search: None,
            args: arguments.into_iter().map(literal).collect::<Vector<_>>(),
            oself: None,
        };
        let mut process = self.process.take().unwrap_or_else(|| self.process());
        process.instructions.push(Arc::new(call));
        let result = self.drive(&mut process, target, own)?;
        // A process that failed is not used again.
        process.instructions.clear();
        process.env.stack.clear();
        process.env.table.clear();
        process.env.call_stack.clear();
        process.env.self_stack.truncate(1);
        self.process = Some(process);
        Ok(result)
    }

    fn process(&mut self) -> Process {
        let mut process = Process::default();
        process.env.self_stack.push(self.graph.ensure_main_root());
        process.env.max_execution_time = None;
        process.env.max_call_stack_depth = MAX_CALLS;
        process.env.max_stack_size = MAX_STACK;
        process.env.yield_enabled = false;
        process
    }

    fn drive(&mut self, process: &mut Process, target: &Target<'_>, own: &Cells) -> Result<Val, String> {
        let mut steps = 0;
        let mut waiting = 1_usize;
        loop {
            if let Some(next) = process.instructions.instructions.front()
                && let Some(base) = next.as_dyn_any().downcast_ref::<Base>()
            {
                steps += Gate { process, target }.admit(base)?;
            }
            match process.instructions.exec(&mut process.env, &mut self.graph, 1) {
                Ok(ProcRes::Done) => return Ok(process.env.stack.pop().map_or(Val::Void, |value| value.get())),
                Ok(ProcRes::More) => {}
                Ok(_) => return Err("a function of a policy waits for nothing".to_owned()),
                Err(error) => return Err(plain(&error.message())),
            }
            let now = process.instructions.instructions.len();
            steps += 1 + now.abs_diff(waiting) / JUMPED;
            waiting = now;
            if let Some(top) = process.env.stack.last_mut() {
                let weight = weigh(top.val.read().deref()).ok_or("a value is too big")?;
                steps += weight.nodes / VALUES;
                if weight.nodes > 1 || weight.places {
                    own_copy(top, own);
                }
            }
            if steps > MAX_STEPS {
                return Err(format!("the function took more than {MAX_STEPS} steps"));
            }
        }
    }
}

/// Puts a copy in the place of a value that is the document's own.
fn own_copy(value: &mut Variable, own: &Cells) {
    if own.contains(&value.val) {
        let copy = value.val.read().clone();
        value.val = ValRef::new(copy);
    }
}

/// The crate's message, on one line and without colours.
fn plain(message: &str) -> String {
    const LONGEST: usize = 300;
    let mut plain = String::new();
    let mut escaped = false;
    for char in message.chars().take(LONGEST) {
        match char {
            '\u{1b}' => escaped = true,
            'm' if escaped => escaped = false,
            _ if escaped => {}
            char if char.is_control() => plain.push(' '),
            char => plain.push(char),
        }
    }
    plain
}

/// What instructions may do.
struct Gate<'p> {
    process: &'p Process,
    target: &'p Target<'p>,
}

impl Gate<'_> {
    /// Whether the instruction may be run, and how many steps it is more than one.
    fn admit(&self, instruction: &Base) -> Result<usize, String> {
        if let Base::Tag(name) = instruction
            && let Some(guard) = name.strip_prefix(GUARD)
        {
            return self.guard(guard);
        }
        self.allow(instruction).map(|()| 0)
    }

    fn allow(&self, instruction: &Base) -> Result<(), String> {
        match instruction {
            Base::SetVariable(name) => self.assign(name),
            Base::Binary(op) => self.operate(op),
            Base::Cast(kind) => {
                let places = matches!(kind, Type::Obj(_) | Type::Unknown | Type::Void | Type::Null);
                if places || !self.top_is_place() {
                    Ok(())
                } else {
                    Err("an object cannot be turned into a value".to_owned())
                }
            }
            Base::Spawn(_)
            | Base::CtrlAwait
            | Base::CtrlExit
            | Base::CtrlTrace(_)
            | Base::CtrlPeek(_)
            | Base::CtrlSleepFor(_)
            | Base::CtrlSleepRef(_)
            | Base::NewObjField(_)
            | Base::ConstNewObjField(_)
            | Base::NewObjConstructors
            | Base::PushNew
            | Base::DropVariable(_)
            | Base::MarkUsing(_)
            | Base::UsingValue => Err("this is no part of a policy's functions".to_owned()),
            _ => Ok(()),
        }
    }

    fn top_is_place(&self) -> bool {
        self.process.env.stack.last().is_some_and(|top| matches!(top.val.read().deref(), Val::Obj(_) | Val::Fn(_)))
    }

    /// The last `count` values in hand.
    fn last(&self, count: usize) -> &[Variable] {
        let stack = &self.process.env.stack;
        stack.get(stack.len().saturating_sub(count)..).unwrap_or_default()
    }

    /// Only variables are assigned to, and in a capability its `output`: never an object, which could come to hold itself.
    fn assign(&self, name: &str) -> Result<(), String> {
        if !name.contains('.') {
            let known = self.process.env.table.get(name).is_some();
            return if known { Ok(()) } else { Err(format!("there is no variable `{name}` here")) };
        }
        let output = name == "self.output" || name.starts_with("self.output.");
        let here = self.target.input.is_some() && self.process.env.self_stack.last() == Some(self.target.object);
        if !output || !here {
            return Err("a function changes nothing of the policy".to_owned());
        }
        let value = self.process.env.stack.last().and_then(|top| weigh(top.val.read().deref()));
        if value.is_none_or(|weight| weight.places) {
            Err("an object cannot be put into `output`".to_owned())
        } else {
            Ok(())
        }
    }

    fn operate(&self, op: &Op) -> Result<(), String> {
        if matches!(op, Op::Eq | Op::Neq) {
            return Ok(());
        }
        for operand in self.last(2) {
            let weight = weigh(operand.val.read().deref()).ok_or("a value is too big")?;
            if weight.places {
                return Err("an object cannot be computed with".to_owned());
            }
        }
        Ok(())
    }

    /// That the arguments of a library's function are not too big, and none is in another: the crate locks them.
    fn guard(&self, guard: &str) -> Result<usize, String> {
        let (kind, count) = guard.split_at_checked(1).unwrap_or_default();
        let arguments = self.last(count.parse().unwrap_or(MAX_STACK));
        let mut total = 0;
        for (index, argument) in arguments.iter().enumerate() {
            let weight = weigh(argument.val.read().deref()).ok_or("a value is too big")?;
            if weight.places && kind != OBJECTS {
                return Err("an object cannot be an argument here".to_owned());
            }
            total =
                if kind == JOIN && total > 0 { weight.nodes.saturating_mul(total) } else { weight.nodes.max(total) };
            for (other_index, other) in arguments.iter().enumerate() {
                let same = Arc::ptr_eq(&argument.val.0, &other.val.0);
                if other_index != index && (same || holds(other.val.read().deref(), &argument.val)) {
                    return Err("a value cannot be used with itself".to_owned());
                }
            }
        }
        match kind {
            // Joining writes the second argument between all items of the first.
            JOIN if total > MAX_STACK => Err("a value is too big".to_owned()),
            SORT => Ok(total * SORTED),
            _ => Ok(0),
        }
    }
}

/// Leaves in a graph what functions may call, each with a guard before it.
pub(super) fn sandbox(graph: &mut Graph) {
    graph.formats.clear();
    graph.libdocs.clear();
    graph.set_deadpools_enabled(false);
    graph.libfuncs.retain(|library, functions| {
        functions.retain(|name, function| {
            callable::is_function(library, name) && !function.args_to_symbol_table && !function.is_async
        });
        !functions.is_empty()
    });
    for (library, functions) in &mut graph.libfuncs {
        for (name, function) in functions {
            let kind = match (&**library, name.as_str()) {
                ("List", "join") => JOIN,
                ("List", "sort") => SORT,
                // These would write objects out.
                ("Std" | "Str" | "Num", _) => "v",
                _ => OBJECTS,
            };
            let own = function.func.clone();
            let guard =
                move |count| Arc::new(Base::Tag(format!("{GUARD}{kind}{count}").into())) as Arc<dyn Instruction>;
            let usual: Vec<_> = (0..USUAL).map(guard).collect();
            // The crate's signature.
            #[allow(clippy::result_large_err)]
            let guarded = move |as_ref, count: usize, env: &mut ProcEnv, graph: &mut Graph| {
                let mut guarded = Instructions::default();
                guarded.push(usual.get(count).cloned().unwrap_or_else(|| guard(count)));
                guarded.append(&own(as_ref, count, env, graph)?.instructions);
                Ok(guarded)
            };
            function.func = Arc::new(guarded);
        }
    }
}
