//! Who may do what.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a person may do in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Everything, and who owns the workspace.
    Owner,
    /// Publishes, and manages tokens and people.
    Admin,
    /// Edits drafts and customers.
    Editor,
    /// Reads.
    Viewer,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// Enforcement, customers and connections: what a program with an engine needs.
    Engine,
    /// Reading, and nothing else.
    Read,
    /// Everything but who owns the workspace.
    Admin,
}

/// What handlers ask for, see [`Caller::require`](crate::http::auth::Caller::require).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "a list for every route of the server; each part of it uses its own")]
pub(crate) enum Permission {
    /// Whatever can be seen.
    Read,
    /// Customers alone.
    ReadCustomers,
    EditCustomers,
    /// Calls that use what customers have.
    Enforce,
    /// Connections of engines.
    Connect,
    EditDrafts,
    Publish,
    ManageTokens,
    ManageUsers,
    ManageWorkspace,
    /// Who owns the workspace: no token may.
    ManageOwners,
}

impl Role {
    pub(crate) fn allows(self, permission: Permission) -> bool {
        use Permission as P;
        match permission {
            P::Read | P::ReadCustomers => true,
            P::EditCustomers | P::Enforce | P::EditDrafts => !matches!(self, Self::Viewer),
            P::Publish | P::ManageTokens | P::ManageUsers | P::ManageWorkspace | P::Connect => {
                matches!(self, Self::Admin | Self::Owner)
            }
            P::ManageOwners => matches!(self, Self::Owner),
        }
    }
}

impl Scope {
    pub(crate) fn allows(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Read => matches!(permission, P::Read | P::ReadCustomers),
            Self::Engine => matches!(permission, P::Enforce | P::ReadCustomers | P::EditCustomers | P::Connect),
            Self::Admin => permission != P::ManageOwners,
        }
    }
}

/// Both are stored as the text that the API uses.
macro_rules! stored {
    ($type:ident { $($variant:ident = $text:literal),* }) => {
        impl $type {
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            pub(crate) fn of(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

stored!(Role { Owner = "owner", Admin = "admin", Editor = "editor", Viewer = "viewer" });
stored!(Scope { Engine = "engine", Read = "read", Admin = "admin" });

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Permission; 11] = [
        Permission::Read,
        Permission::ReadCustomers,
        Permission::EditCustomers,
        Permission::Enforce,
        Permission::EditDrafts,
        Permission::Publish,
        Permission::ManageTokens,
        Permission::ManageUsers,
        Permission::ManageWorkspace,
        Permission::Connect,
        Permission::ManageOwners,
    ];

    fn of_role(role: Role) -> Vec<Permission> {
        ALL.into_iter().filter(|permission| role.allows(*permission)).collect()
    }

    fn of_scope(scope: Scope) -> Vec<Permission> {
        ALL.into_iter().filter(|permission| scope.allows(*permission)).collect()
    }

    #[test]
    fn each_role_has_what_the_one_below_has_and_more() {
        assert_eq!(of_role(Role::Viewer), ALL[..2]);
        assert_eq!(of_role(Role::Editor), ALL[..5]);
        assert_eq!(of_role(Role::Admin), ALL[..10]);
        assert_eq!(of_role(Role::Owner), ALL);
    }

    #[test]
    fn scopes_give_what_they_say() {
        use Permission as P;
        assert_eq!(of_scope(Scope::Read), [P::Read, P::ReadCustomers]);
        assert_eq!(of_scope(Scope::Engine), [P::ReadCustomers, P::EditCustomers, P::Enforce, P::Connect]);
        assert_eq!(of_scope(Scope::Admin), ALL[..10]);
    }

    #[test]
    fn they_are_stored_as_the_api_writes_them() {
        for role in [Role::Owner, Role::Admin, Role::Editor, Role::Viewer] {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
            assert_eq!(Role::of(role.as_str()), Some(role));
        }
        for scope in [Scope::Engine, Scope::Read, Scope::Admin] {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
            assert_eq!(Scope::of(scope.as_str()), Some(scope));
        }
        assert_eq!(Role::of("root"), None);
    }
}
