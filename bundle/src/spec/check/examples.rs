//! The file that `kube-bundle init` writes has example addresses. They belong to nobody (RFC 5737), so a file that still
//! has one was not edited to its end.

use std::net::IpAddr;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::Diagnostic;
use crate::spec::EXAMPLE_PREFIX;
use crate::spec::raw::FaultList;

/// Whether it is an example address.
pub(super) fn is_one(address: IpAddr) -> bool {
    address.to_string().starts_with(EXAMPLE_PREFIX)
}

/// One error for all example addresses, whichever key they are the value of: they are one thing to do.
pub(super) fn none_is_left(document: &DeTable<'_>, faults: &FaultList) {
    let mut left = Vec::new();
    document.values().for_each(|value| collect(value, &mut left));
    left.sort_by_key(|(span, _)| span.start);
    let [(span, value), others @ ..] = &left[..] else { return };
    let help = match others.len() {
        0 => "write the address of your own machine".to_owned(),
        1 => "write the addresses of your own machines, here and in one other place".to_owned(),
        more => format!("write the addresses of your own machines, here and in {more} other places"),
    };
    let message = format!("`{value}` is still the example that `kube-bundle init` wrote");
    let error = Diagnostic::error(span.clone(), message, "this address belongs to nobody").help(help);
    faults.add(match others {
        [.., (last, _)] => error.and(last.clone(), "up to this one"),
        [] => error,
    });
}

fn collect<'v>(value: &'v Spanned<DeValue<'_>>, left: &mut Vec<(Range<usize>, &'v str)>) {
    match value.get_ref() {
        DeValue::String(text) if text.contains(EXAMPLE_PREFIX) => left.push((value.span(), text)),
        DeValue::Array(values) => values.iter().for_each(|value| collect(value, left)),
        DeValue::Table(table) => table.values().for_each(|value| collect(value, left)),
        _ => {}
    }
}
