//! Amounts, as the API's document describes them.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Stands for [`limitr::Amount`] in schemas.
pub(crate) struct Amount;

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^-?\d+(\.\d+)?$")).build();
        let description = "An exact decimal: a number where a double carries all its digits, else a string of them.";
        let amount = OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(Type::Number).build())
            .item(text)
            .description(Some(description));
        RefOr::T(Schema::OneOf(amount.build()))
    }
}

impl ToSchema for Amount {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Amount")
    }
}
