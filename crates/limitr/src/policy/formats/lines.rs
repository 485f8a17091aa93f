//! Byte offsets to lines and columns, without a pass over the text for each.

use crate::Position;

/// Where the lines of a text start, and how many characters lie before every block of it.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    /// Characters before each block of [`BLOCK`] bytes; empty when every character is one byte.
    before: Vec<usize>,
}

/// A million positions on one long line must not each count the line from its start.
const BLOCK: usize = 1024;

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let after_break = |(offset, byte): (usize, u8)| (byte == b'\n').then_some(offset + 1);
        let starts = std::iter::once(0).chain(text.bytes().enumerate().filter_map(after_break)).collect();
        let mut before = Vec::new();
        if !text.is_ascii() {
            let mut count = 0;
            for block in text.as_bytes().chunks(BLOCK) {
                before.push(count);
                count += characters(block);
            }
        }
        Self { text, starts, before }
    }

    /// The line and column of the character at byte `offset` (or of the end of the text).
    pub(super) fn position(&self, offset: usize) -> Option<Position> {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.checked_sub(1)?)?;
        let column = self.characters_before(offset).saturating_sub(self.characters_before(*start)) + 1;
        Some(Position { line: u32::try_from(line).ok()?, column: u32::try_from(column).ok()? })
    }

    fn characters_before(&self, offset: usize) -> usize {
        let block = offset / BLOCK;
        match self.before.get(block) {
            Some(before) => before + self.text.as_bytes().get(block * BLOCK..offset).map_or(0, characters),
            None if self.before.is_empty() => offset,
            None => self.text.chars().count(),
        }
    }
}

fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = format!("a\nüb\r\n{}x", "é".repeat(3000));
        let lines = Lines::new(&text);
        let at = |offset| lines.position(offset).map(|at| (at.line, at.column));
        assert_eq!(at(0), Some((1, 1)));
        assert_eq!(at(2), Some((2, 1)));
        assert_eq!(at(4), Some((2, 2)));
        assert_eq!(at(text.len() - 1), Some((3, 3001)));
        assert_eq!(at(usize::MAX), Some((3, 3002)));
    }
}
