//! Figures as people read them: objects as indented lines, lists of objects as tables.

use serde_json::{Map, Value};
use std::fmt::Write;

/// A report of [`super::run`] as text.
pub fn text(report: &Value) -> String {
    let mut out = String::new();
    write(&mut out, report, 0);
    out
}

fn write(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            let wide = fields.keys().map(|key| key.chars().count()).max().unwrap_or(0);
            for (key, value) in fields {
                let key = key.replace('_', " ");
                if let Some(value) = plain(value) {
                    let _ = writeln!(out, "{indent}{key:wide$}  {value}");
                } else {
                    let _ = writeln!(out, "{indent}{key}");
                    write(out, value, depth + 1);
                }
            }
        }
        Value::Array(rows) => match table(rows) {
            Some(lines) => lines.iter().for_each(|line| _ = writeln!(out, "{indent}{}", line.trim_end())),
            None => rows.iter().for_each(|row| {
                write(out, row, depth);
                out.push('\n');
            }),
        },
        _ => _ = writeln!(out, "{indent}{}", plain(value).unwrap_or_default()),
    }
}

/// A value that fits on a line.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("-".to_owned()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            Some(if number == 0.0 || (1e-3..1e9).contains(&number.abs()) {
                let digits = if number.abs() < 10.0 { 4 } else { 2 };
                format!("{number:.digits$}")
            } else {
                format!("{number:.2e}")
            })
        }
        Value::Array(items) => {
            let items: Option<Vec<String>> =
                items.iter().map(|item| if item.is_array() { None } else { plain(item) }).collect();
            Some(items?.join(" "))
        }
        Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

/// Lines of columns, if all rows are flat objects with the same keys.
fn table(rows: &[Value]) -> Option<Vec<String>> {
    let rows: Vec<&Map<String, Value>> = rows.iter().map(Value::as_object).collect::<Option<_>>()?;
    let keys: Vec<&String> = rows.first()?.keys().collect();
    let mut cells = vec![keys.iter().map(|key| key.replace('_', " ")).collect::<Vec<_>>()];
    for row in &rows {
        if row.len() != keys.len() {
            return None;
        }
        cells.push(keys.iter().map(|key| plain(row.get(*key)?)).collect::<Option<_>>()?);
    }
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..keys.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ")
    };
    Some(cells.iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_of_like_objects_are_tables_and_everything_is_told() {
        let report = json!({
            "summary": [{ "codec": "f32/f32", "result": 0.5 }, { "codec": "sign/int8", "result": null }],
            "deep": { "seconds_per_round": 12.345, "names": ["a", "b"] },
            "unlike": [{ "a": 1 }, { "b": { "c": 1e-9 } }],
        });
        let expected = "deep\n  names              a b\n  seconds per round  12.35\nsummary\n  codec      result\n  \
                        f32/f32    0.5000\n  sign/int8  -\nunlike\n  a  1\n\n  b\n    c  1.00e-9\n\n";
        assert_eq!(text(&report), expected);
    }
}
