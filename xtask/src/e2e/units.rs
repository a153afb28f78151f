//! The state of the control plane's units on a machine.

use anyhow::Result;

use super::machine::Machine;

/// The units of the role master, in the order in which they start.
pub(super) const UNITS: &str = "kube-apiserver kube-controller-manager kube-scheduler kube-bootstrap";

/// systemd's invocation ID of each of `units`, which is another one after each start.
pub(super) fn invocation_ids(machine: &Machine, units: &str) -> Result<Vec<(String, String)>> {
    let invocation_id = |unit: &str| {
        let id = machine.sh(&format!("systemctl show --property=InvocationID {unit}"))?;
        Ok((unit.to_owned(), id.trim().to_owned()))
    };
    units.split(' ').map(invocation_id).collect()
}

/// The names of the units whose invocation ID changed, with spaces between them.
pub(super) fn restarted(before: &[(String, String)], after: &[(String, String)]) -> String {
    let changed = before.iter().zip(after).filter(|(old, new)| old != new);
    changed.map(|((unit, _), _)| unit.as_str()).collect::<Vec<_>>().join(" ")
}

/// Waits until `--status` has nothing to say against the machine. Bootstrap objects and nodes may take a moment.
pub(super) fn wait_well(machine: &Machine) -> Result<()> {
    let status =
        "status='/var/lib/kube-bundle/installed/install.sh --status'; [ -x ${status%% *} ] || status=kube-bundle-status
        $status | grep -qxF 'All is well.' || { $status; exit 1; }";
    machine.wait_until("all to be well", 90, status)
}

/// Waits until every unit has been active for more than four seconds and the ports are open: a component that does not
/// reach the API server exits and is started again, so being active once proves nothing.
pub(super) fn wait_units_active(machine: &Machine) -> Result<()> {
    let script = format!(
        "for port in 6443 10257 10259; do ss -ltn | grep -q \":$port \" || exit 1; done\n\
         now=$(cut -d. -f1 /proc/uptime)\n\
         for unit in {UNITS}; do\n\
         systemctl is-active $unit || exit 1\n\
         since=$(systemctl show --property=ActiveEnterTimestampMonotonic --value $unit)\n\
         [ $((now - ${{since%??????}})) -gt 4 ] || exit 1\n\
         done"
    );
    machine.wait_until("its units", 60, &script)
}
