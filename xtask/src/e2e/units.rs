//! Whether the control plane's units run, and which of them were started again.

use anyhow::Result;

use super::machine::Machine;

/// All of them, in the order of starting.
pub(super) const UNITS: &str = "kube-apiserver kube-controller-manager kube-scheduler kube-bootstrap";

/// A number that changes when a unit is started again.
pub(super) fn starts(machine: &Machine) -> Result<Vec<(String, String)>> {
    let start = |unit: &str| {
        let id = machine.sh(&format!("systemctl show --property=InvocationID {unit}"))?;
        Ok((unit.to_owned(), id.trim().to_owned()))
    };
    UNITS.split(' ').map(start).collect()
}

/// The units that were started between two looks.
pub(super) fn restarted(before: &[(String, String)], after: &[(String, String)]) -> String {
    let other = before.iter().zip(after).filter(|(was, is)| was != is);
    other.map(|((unit, _), _)| unit.as_str()).collect::<Vec<_>>().join(" ")
}

/// Up is what listens and stays: before a component has the API server's answer it dies and is started again.
pub(super) fn all_active(machine: &Machine) -> Result<()> {
    let up = format!(
        "for port in 6443 10257 10259; do ss -ltn | grep -q \":$port \" || exit 1; done\n\
         now=$(cut -d. -f1 /proc/uptime)\n\
         for unit in {UNITS}; do\n\
         systemctl is-active $unit || exit 1\n\
         since=$(systemctl show --property=ActiveEnterTimestampMonotonic --value $unit)\n\
         [ $((now - ${{since%??????}})) -gt 4 ] || exit 1\n\
         done"
    );
    machine.until("its units", 60, &up)
}
