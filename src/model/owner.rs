//! Who controls an object, as its metadata says.

use super::Json;

/// The owner reference of an object's controller; none where nobody controls it.
pub fn controlling_owner<'o, 'j>(object: &'o Json<'j>) -> Option<&'o Json<'j>> {
    let owners = object.at(&["metadata", "ownerReferences"])?.items();
    owners.iter().find(|owner| owner.get("controller").and_then(Json::boolean) == Some(true))
}
