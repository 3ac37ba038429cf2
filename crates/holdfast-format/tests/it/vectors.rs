//! The appendix of docs/format.md: what it shows is read from the page and made again.
