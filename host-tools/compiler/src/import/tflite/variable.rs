//! Variables: what a network that runs frame by frame keeps from one run to the next.
//!
//! A variable is known by its name; it becomes an input (what is read) and an output (what is assigned) of the graph,
//! tied together as a [`State`]. Its first value is that which the subgraph of CALL_ONCE assigns.

use super::build::{Builder, FileNode, V};
use super::read::File;
use super::refused::{Refused, refuse};
use crate::graph::Data;
use tract_tflite::tflite as schema;
use tract_tflite::tflite::BuiltinOperator as B;

/// A variable of the file.
#[derive(Default)]
pub(super) struct Variable {
    name: String,
    initial: Option<Data>,
    /// The input of the graph.
    pub read: Option<V>,
    /// What the last assignment so far gave it.
    pub assigned: Option<V>,
}

impl Variable {
    /// The value before the first run.
    pub fn initial(&self) -> Result<Data, Refused> {
        match &self.initial {
            Some(data) => Ok(data.clone()),
            None => refuse(format!("variable `{}` is read, but nothing gives it a first value", self.name)),
        }
    }
}

pub(super) fn var_handle(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let name = handle_name(&node.op);
    let place = variable(b, &name);
    let Some(&output) = node.outputs.first() else { return refuse("output 0 is missing") };
    b.handles.insert(output, place);
    Ok(())
}

pub(super) fn read_variable(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let place = handle(b, node)?;
    let Some(&output) = node.outputs.first() else { return refuse("output 0 is missing") };
    let (assigned, read) = (b.variables[place].assigned, b.variables[place].read);
    if let Some(known) = assigned.or(read) {
        return b.name_again(output, known);
    }
    let initial = b.variables[place].initial()?;
    let v = b.state_input(output)?;
    if initial.len() != b.tensor(v).len() || initial.dtype() != b.tensor(v).dtype {
        return refuse("its first value has another shape or type");
    }
    b.variables[place].read = Some(v);
    Ok(())
}

pub(super) fn assign_variable(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let place = handle(b, node)?;
    let value = b.any_input(node, 1)?;
    if let Some(read) = b.variables[place].read {
        let (read, value) = (b.tensor(read), b.tensor(value));
        if read.shape != value.shape || read.dtype != value.dtype || !super::build::nearly_equal(read, value)
        {
            return refuse("what is assigned differs from what is read in shape, type or quantization");
        }
    }
    b.variables[place].assigned = Some(value);
    Ok(())
}

/// Takes the first values from the assignments of another subgraph.
pub(super) fn call_once(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let index = node.op.builtin_options_as_call_once_options().map(|o| o.init_subgraph_index());
    let subgraph = index.and_then(|index| usize::try_from(index).ok()).and_then(|i| b.file.subgraph(i));
    let Some(file) = subgraph else { return refuse("the subgraph that it calls does not exist") };
    let mut names: Vec<(usize, String)> = Vec::new();
    for op in &file.operators {
        let indices = |v: Option<flatbuffers::Vector<'_, i32>>| -> Vec<usize> {
            v.map(|v| v.iter().filter_map(|i| usize::try_from(i).ok()).collect()).unwrap_or_default()
        };
        let (inputs, outputs) = (indices(op.inputs()), indices(op.outputs()));
        match (file.builtin(op), &inputs[..], &outputs[..]) {
            (Some(B::VAR_HANDLE), _, &[output]) => names.push((output, handle_name(op))),
            (Some(B::ASSIGN_VARIABLE), &[handle, value], _) => {
                let name = names.iter().find(|(index, _)| *index == handle);
                let Some((_, name)) = name else { return refuse("it assigns to what is no variable") };
                let place = variable(b, name);
                b.variables[place].initial = Some(first_value(b, &file, value)?);
            }
            _ => return refuse("the subgraph that it calls does more than to assign constants to variables"),
        }
    }
    Ok(())
}

fn first_value(b: &mut Builder<'_>, file: &File<'_>, index: usize) -> Result<Data, Refused> {
    let tensor = file.constant(index, &mut |bytes| b.charge(bytes))?;
    match tensor.data {
        Some(data) => Ok(data),
        None => refuse("a first value is no constant"),
    }
}

/// Name of a variable: its container and its own.
fn handle_name(op: &schema::Operator<'_>) -> String {
    let options = op.builtin_options_as_var_handle_options();
    let part = |name: Option<&str>| name.unwrap_or_default().chars().take(512).collect::<String>();
    options.map_or_else(String::new, |o| format!("{}/{}", part(o.container()), part(o.shared_name())))
}

/// Place of the variable of this name.
fn variable(b: &mut Builder<'_>, name: &str) -> usize {
    match b.variables.iter().position(|v| v.name == name) {
        Some(place) => place,
        None => {
            b.variables.push(Variable { name: name.into(), ..Variable::default() });
            b.variables.len() - 1
        }
    }
}

/// Place of the variable that input 0 names.
fn handle(b: &Builder<'_>, node: &FileNode<'_>) -> Result<usize, Refused> {
    let place = node.inputs.first().copied().flatten().and_then(|index| b.handles.get(&index));
    place.copied().ok_or_else(|| Refused::new("input 0 is no variable"))
}
