//! The console blocks of the documentation: what a page says that commands print, to be compared with what they print.
//!
//! A block counts when the line before it is `<!-- tested -->`. Commands stand after `$ `; a backslash at the end of a line continues
//! one on the next. Whatever follows up to the next command is what it prints, stdout and stderr as a terminal shows them, and
//! `(exit code N)` at the end when that is not 0. A block after `<!-- append: PATH -->` is what the reader adds to that file. Blocks
//! without a mark are not looked at.

use std::ops::Range;

/// The line that marks the next block as one to be held true.
pub const MARK: &str = "<!-- tested -->";
const PROMPT: &str = "$ ";

/// The beginning of the line that marks the next block as one to be added to a file.
pub const APPEND: &str = "<!-- append: ";

/// The blocks that a reader adds to files: the line, from 0, that each starts on, the file, and the text.
#[must_use]
pub fn additions(page: &str) -> Vec<(usize, String, String)> {
    let lines: Vec<&str> = page.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(file) = line.strip_prefix(APPEND).and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        assert!(lines[at + 1].starts_with("```"), "line {}: a block follows the mark of {file}", at + 2);
        let body: Vec<&str> = lines[at + 2..].iter().copied().take_while(|line| *line != "```").collect();
        found.push((at + 2, file.to_owned(), body.join("\n") + "\n"));
    }
    found
}

/// One command of a page and what the page says it prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What a person types, lines that continue it included.
    pub command: String,
    /// What stands below it, without the last line break.
    pub printed: String,
    /// The lines of the page, from 0, that `printed` takes.
    lines: Range<usize>,
}

impl Step {
    /// The line of the page, from 1, that the command is on or ends on.
    #[must_use]
    pub fn line(&self) -> usize {
        self.lines.start
    }
}

/// The contents of the marked blocks of one language, each with the line, from 0, that it starts on.
#[must_use]
pub fn blocks(page: &str, language: &str) -> Vec<(usize, String)> {
    let opening = format!("```{language}");
    let lines: Vec<&str> = page.lines().collect();
    let mut found = Vec::new();
    for (at, pair) in lines.windows(2).enumerate() {
        if pair[0] == MARK && pair[1] == opening {
            let body: Vec<&str> = lines[at + 2..].iter().copied().take_while(|line| *line != "```").collect();
            found.push((at + 2, body.join("\n")));
        }
    }
    found
}

/// The commands of all marked blocks, in order.
#[must_use]
pub fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (start, text) in blocks(page, "console") {
        let mut continues = false;
        let first = steps.len();
        for (at, line) in (start..).zip(text.lines()) {
            if continues {
                let step = steps.last_mut().expect("only a command continues");
                step.command.push('\n');
                step.command.push_str(line);
                step.lines = at + 1..at + 1;
                continues = line.ends_with('\\');
            } else if let Some(command) = line.strip_prefix(PROMPT) {
                steps.push(Step { command: command.to_owned(), printed: String::new(), lines: at + 1..at + 1 });
                continues = command.ends_with('\\');
            } else {
                assert!(steps.len() > first, "line {} of a tested block comes before any command: {line}", at + 1);
                let step = steps.last_mut().expect("counted above");
                if !step.lines.is_empty() {
                    step.printed.push('\n');
                }
                step.printed.push_str(line);
                step.lines.end = at + 1;
            }
        }
    }
    steps
}

/// The page with other texts below some of its commands.
#[must_use]
pub fn replaced(page: &str, changes: &[(Step, String)]) -> String {
    let mut lines: Vec<&str> = page.lines().collect();
    for (step, printed) in changes.iter().rev() {
        lines.splice(step.lines.clone(), printed.lines());
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# Page

<!-- tested -->
```console
$ rig packs
ID  Version

echo  1
$ rig call \\
    x
(exit code 3)
$ cd x
```

```console
$ not tested
```

<!-- tested -->
```console
$ rig list
one
```
";

    #[test]
    fn commands_and_what_they_print() {
        let steps = steps(PAGE);
        let found: Vec<_> = steps.iter().map(|step| (step.command.as_str(), step.printed.as_str())).collect();
        assert_eq!(
            found,
            [
                ("rig packs", "ID  Version\n\necho  1"),
                ("rig call \\\n    x", "(exit code 3)"),
                ("cd x", ""),
                ("rig list", "one")
            ]
        );
        assert_eq!(steps[0].line(), 5);
    }

    #[test]
    fn what_a_reader_adds_to_files() {
        let page = "# Page\n\n<!-- append: src/lib.rs -->\n```rust\n\nfn a() {}\n```\n";
        assert_eq!(additions(page), [(4, "src/lib.rs".to_owned(), "\nfn a() {}\n".to_owned())]);
    }

    #[test]
    fn a_page_is_changed_in_place() {
        let steps = steps(PAGE);
        let changes = [
            (steps[0].clone(), "nothing\nelse".to_owned()),
            (steps[2].clone(), "new".to_owned()),
            (steps[3].clone(), String::new()),
        ];
        let expected = PAGE
            .replace("ID  Version\n\necho  1\n", "nothing\nelse\n")
            .replace("$ cd x\n", "$ cd x\nnew\n")
            .replace("one\n", "");
        assert_eq!(replaced(PAGE, &changes), expected);
        assert_eq!(replaced(PAGE, &[]), PAGE);
    }
}
