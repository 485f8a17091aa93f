//! The functions of a document, loaded: beside them its data, in a graph that every call starts from.

use std::ops::Deref as _;
use std::sync::{Mutex, PoisonError};

use serde_json::Value as Json;
use stof::model::{DataRef, Field, Func, Graph, NodeRef, Profile};
use stof::parser::info::parse_text_with_info;
use stof::runtime::{Error, Type, Val};

use super::machine::{Machine, Target, sandbox};
use super::values::{Argument, Builder, Document};
use super::weigh::Cells;
use crate::Problem;
use crate::policy::{Node, Reading, Source, syntax};

/// Most functions of a document.
const MAX_FUNCTIONS: usize = 1_000;
/// Most graphs that are kept for the next calls: more threads than this at once make their own.
const MAX_IDLE: usize = 64;

/// What a document's functions are run from.
pub(super) struct Program {
    pub(super) functions: Vec<Loaded>,
    pristine: Graph,
    /// The document's own values.
    own: Cells,
    idle: Mutex<Vec<Machine>>,
}

/// One function.
pub(super) struct Loaded {
    pub(super) source: Source,
    function: DataRef,
    parameters: Vec<Type>,
    object: NodeRef,
}

impl Program {
    /// Loads what was read; none when there are no functions. Nothing is run.
    pub(super) fn load(reading: Reading) -> Result<(Node, Option<Self>), Problem> {
        let Reading { root, functions, quantities } = reading;
        if functions.is_empty() {
            return Ok((root, None));
        }
        if let Some(beyond) = functions.get(MAX_FUNCTIONS) {
            return Err(syntax(beyond.at, format!("a document has at most {MAX_FUNCTIONS} functions")));
        }
        let mut pristine = Graph::default();
        let top = pristine.ensure_main_root();
        let mut scratch = pristine.clone();
        let mut build = Builder::new(&mut pristine, 'd');
        let is_quantity = |node: &Node| node.at.is_some_and(|at| quantities.contains(&at));
        let mut document = Document { build: &mut build, is_quantity: &is_quantity, cells: Cells::default() };
        document.fill(&top, &root);
        let Document { cells, .. } = document;
        let mut loaded = Vec::with_capacity(functions.len());
        for source in functions {
            let object = object_at(build.graph, &top, &source.path).unwrap_or_else(|| top.clone());
            let function = compile(&mut scratch, &source)?;
            let parameters = function.params.iter().map(|parameter| parameter.param_type.clone()).collect();
            let id = build.id();
            build.graph.insert_stof_data(&object, source.name.as_str(), Box::new(function), Some(id.clone()));
            loaded.push(Loaded { source, function: id, parameters, object });
        }
        sandbox(&mut pristine);
        let program = Self { functions: loaded, pristine, own: cells, idle: Mutex::default() };
        Ok((root, Some(program)))
    }

    /// Runs the function at `index`.
    pub(super) fn call(&self, index: usize, arguments: &[Argument<'_>]) -> Result<Json, String> {
        self.run(index, None, arguments)
    }

    /// Runs the function of a capability: its object has the `input`, and takes an `output`.
    pub(super) fn call_capability(
        &self,
        index: usize,
        input: &Json,
        arguments: &[Argument<'_>],
    ) -> Result<Json, String> {
        self.run(index, Some(input), arguments)
    }

    fn run(&self, index: usize, input: Option<&Json>, arguments: &[Argument<'_>]) -> Result<Json, String> {
        let Loaded { function, parameters, object, .. } =
            self.functions.get(index).ok_or("there is no such function")?;
        // Not locked while a graph is copied.
        let waiting = self.idle().pop();
        let mut machine = waiting.unwrap_or_else(|| Machine::new(self.pristine.clone()));
        let target = Target { function, parameters, object, input };
        let result = machine.call(&target, arguments, &self.own);
        // What left something behind is thrown away whole.
        let mut idle = self.idle();
        if machine.is_clean() && idle.len() < MAX_IDLE {
            idle.push(machine);
        }
        result
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Machine>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The object that these names lead to.
fn object_at(graph: &Graph, top: &NodeRef, path: &[String]) -> Option<NodeRef> {
    let mut at = Val::Obj(top.clone());
    for name in path {
        at = match &at {
            Val::Obj(object) => {
                let field = graph.get_stof_data::<Field>(object.node(graph)?.get_data(name)?)?;
                field.value.val.read().deref().clone()
            }
            Val::List(items) => {
                let index: usize = name.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
                items.get(index)?.read().deref().clone()
            }
            _ => return None,
        };
    }
    at.try_obj()
}

/// The crate's form of a function. It reads only what was recognised before, so it does not fail; if it does, that is
/// reported at the function.
fn compile(scratch: &mut Graph, source: &Source) -> Result<Func, Problem> {
    let before = scratch.ensure_main_root();
    let (read, _, top) = parse_text_with_info(scratch, &source.canonical, Profile::default());
    let refused = |reason: String| syntax(source.at, format!("this function cannot be read: {reason}"));
    read.map_err(|error| match error {
        Error::ParseError(error) => refused(error.describe()),
        error => refused(error.message()),
    })?;
    let data = top.node(scratch).and_then(|node| node.get_data(&source.name)).cloned();
    let mut function = data.as_ref().and_then(|data| scratch.get_stof_data::<Func>(data)).cloned();
    if let Some(data) = data {
        scratch.remove_data(&data, Some(before));
    }
    if let Some(function) = &mut function {
        function.attributes.clear();
    }
    function.ok_or_else(|| refused("it is not there".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::{Format, parse_document};

    /// Machines are kept after calls, also after failed ones and capabilities: none leaves anything behind.
    #[test]
    fn machines_are_reused() {
        let text = "policy: {
            x-list: [1, [2]]
            fn sum(a: obj) -> float { let l = self.x-list; l.push_back(a.n); return a.n + a.rows[0].m; }
            fn fails(a: obj) -> float { return a.nothing * 2; }
            fn endless() { let l = []; while (true) l.push_back({'a': 1}); }
            fn deep() { self.deep(); }
            fn act() { self.output.a.b = self.input.n; self.output.list = [self.input.n]; self.output = {'is': self.input.n}; }
        }";
        let policy = parse_document(text, Format::Stof, false).unwrap().policy;
        let program = policy.functions.program().unwrap();
        let argument = json!({"n": 1, "rows": [{"m": 2}, {"m": 3}]});
        let arguments = [Argument::Data(&argument)];
        for _ in 0..3 {
            assert_eq!(program.call(0, &arguments), Ok(json!(3.0)));
            for failing in 1..4 {
                program.call(failing, &arguments).unwrap_err();
            }
            assert_eq!(program.call_capability(4, &argument, &[]), Ok(json!({"is": 1.0})));
            let idle = program.idle();
            assert_eq!(idle.len(), 1);
            assert!(idle[0].is_clean());
            assert_eq!(idle[0].graph.nodes.len(), program.pristine.nodes.len());
        }
    }
}
