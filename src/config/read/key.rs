//! A table's key, read: a plain word, or a word and its place.

use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer};
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::config::tables::SPANNED;
use crate::report::Span;

use super::Fault;

/// A key and where it stands.
pub struct KeyNode<'r> {
    pub name: &'r str,
    pub place: Span,
}

impl<'de, 'r: 'de> Deserializer<'de> for KeyNode<'r> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.name)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name != SPANNED {
            return self.deserialize_any(visitor);
        }
        let place = [self.place.file.index(), self.place.start, self.place.end];
        let place = SeqDeserializer::new(place.into_iter());
        visitor.visit_seq(PlacedKey { place, name: Some(self.name) })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple map struct enum identifier ignored_any
    }
}

struct PlacedKey<'r> {
    place: SeqDeserializer<std::array::IntoIter<u32, 3>, Fault>,
    name: Option<&'r str>,
}

impl<'de, 'r: 'de> SeqAccess<'de> for PlacedKey<'r> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        if self.place.size_hint() == Some(0) {
            let Some(name) = self.name.take() else { return Ok(None) };
            return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
        }
        self.place.next_element_seed(seed)
    }
}
