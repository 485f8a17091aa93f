//! Checks of alerts and callable logic.

use std::collections::HashSet;

use super::{Check, quoted};
use crate::events;
use crate::logic::{Alert, Skill};
use crate::policy::model::{Capability, Notification};

impl<'p> Check<'p> {
    pub(super) fn logic(&mut self) {
        self.inside("notifications", |this| {
            this.each(&this.policy.notifications, |this, name, notification| this.notification(name, notification));
        });
        let mut tools: HashSet<&str> = self.policy.capabilities.keys().map(String::as_str).collect();
        self.inside("capabilities", |this| {
            this.each(&this.policy.capabilities, |this, name, capability| {
                this.capability(name, capability, &mut tools)
            });
        });
    }

    fn notification(&mut self, name: &str, notification: &'p Notification) {
        if events::NAMES.contains(&name) {
            let hint = Some("give the notification a name of its own".to_owned());
            self.report("reserved_name", "", format!("`{name}` is the name of an event of the engine"), hint);
        }
        for (index, event) in notification.on.iter().enumerate() {
            if !events::NAMES.contains(&event.as_str()) {
                let hint = self.nearest(event, events::NAMES.iter().copied());
                let hint = hint.map(|meant| format!("did you mean `{meant}`?"));
                self.report("unknown_event", &format!("on[{index}]"), format!("unknown event {}", quoted(event)), hint);
            }
        }
        for (field, mistake) in Alert::compile(name, notification, &self.policy.functions).err().unwrap_or_default() {
            let text = if field == "when" { notification.when.as_deref() } else { Some(&*notification.message) };
            self.mistake(field, text.unwrap_or_default(), mistake);
        }
    }

    fn capability(&mut self, name: &'p str, capability: &'p Capability, tools: &mut HashSet<&'p str>) {
        let tool = capability.name.as_deref().unwrap_or(name);
        let field = if capability.name.is_some() { "name" } else { "" };
        // Either name finds it, so that neither may be another's.
        let own = tool == name;
        if !is_tool_name(tool) {
            let message = format!("{} cannot be the name of a tool", quoted(tool));
            let hint =
                "use at most 64 letters, digits, `_` and `-`, in the field `name` when the key must stay".to_owned();
            self.report("bad_name", field, message, Some(hint));
        } else if !own && !tools.insert(tool) {
            self.report("duplicate_name", field, format!("two capabilities are called `{tool}`"), None);
        }
        let mut parameters = HashSet::new();
        for (index, parameter) in capability.parameters.iter().enumerate() {
            let field = format!("parameters[{index}].name");
            if parameter.name.trim().is_empty() {
                self.report("bad_name", &field, "a name is empty".to_owned(), None);
            } else if !parameters.insert(&parameter.name) {
                let message = format!("two parameters are called {}", quoted(&parameter.name));
                self.report("duplicate_name", &field, message, None);
            }
        }
        for (index, plan) in capability.plans.iter().enumerate() {
            if !self.policy.plans.contains_key(plan) {
                let hint = self.nearest(plan, self.policy.plans.keys().map(String::as_str));
                let hint = hint.map(|meant| format!("did you mean `{meant}`?"));
                self.report("unknown_plan", &format!("plans[{index}]"), format!("unknown plan {}", quoted(plan)), hint);
            }
        }
        if let (Some(text), Some(Err(mistake))) =
            (&capability.result, Skill::compile(name, capability, &self.policy.functions))
        {
            self.mistake("result", text, mistake);
        }
    }
}

/// Whether language models take it as the name of a tool.
fn is_tool_name(name: &str) -> bool {
    const LONGEST: usize = 64;
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
    (1..=LONGEST).contains(&name.len()) && name.chars().all(fits)
}
