//! Protobuf written by hand, so that tests can say what the program would never say.

use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// A message: the values of each field, in the order of their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(BTreeMap<u32, Vec<Value>>);

impl Message {
    /// Sets a field, whatever it was.
    pub(crate) fn number(mut self, field: u32, value: u64) -> Self {
        self.0.insert(field, vec![Value::Number(value)]);
        self
    }

    /// Sets a field, whatever it was.
    pub(crate) fn bytes(mut self, field: u32, bytes: impl AsRef<[u8]>) -> Self {
        self.0.insert(field, vec![Value::Bytes(bytes.as_ref().to_vec())]);
        self
    }

    /// Sets a field to several values.
    pub(crate) fn all(mut self, field: u32, values: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.0.insert(field, values.into_iter().map(Value::Bytes).collect());
        self
    }

    /// Sets a field to numbers in one row.
    pub(crate) fn packed(self, field: u32, values: &[u64]) -> Self {
        let mut row = Vec::new();
        values.iter().for_each(|value| varint(*value, &mut row));
        self.bytes(field, row)
    }

    pub(crate) fn without(mut self, field: u32) -> Self {
        self.0.remove(&field);
        self
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (field, values) in &self.0 {
            for value in values {
                match value {
                    Value::Number(number) => {
                        varint(u64::from(*field) << 3, &mut out);
                        varint(*number, &mut out);
                    }
                    Value::Bytes(bytes) => {
                        varint(u64::from(*field) << 3 | 2, &mut out);
                        varint(bytes.len() as u64, &mut out);
                        out.extend_from_slice(bytes);
                    }
                }
            }
        }
        out
    }
}

pub(crate) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
