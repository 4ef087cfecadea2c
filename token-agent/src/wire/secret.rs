//! A secret on its way.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::token::Secret;

/// A secret in a JSON body; as careful with it as [`Secret`], until it is serialised.
#[derive(Debug)]
pub struct SecretText(pub Secret);

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::from(text)))
    }
}
