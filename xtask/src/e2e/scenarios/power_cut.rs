//! Machines with disks that lose what was not written to them when the power is cut.

use anyhow::{Result, ensure};

use super::tarball::unpack;
use crate::e2e::cluster::{Cluster, MASTERS};
use crate::e2e::environment::ScenarioContext;
use crate::e2e::machine::Machine;
use crate::e2e::report_ok;
use crate::e2e::units::wait_units_active;

/// In place of sync(1): waits for ever when install.sh calls it for the time that /root/moment says, and is sync otherwise.
const HOLD: &str = "#!/bin/sh
if tr '\\0' ' ' </proc/$PPID/cmdline | grep -q /install.sh; then
  echo >>/run/syncs
  [ \"$(wc -l </run/syncs)\" -ne \"$(cat /root/moment)\" ] || { : >/run/held; sleep 3600; }
fi
exec /usr/bin/sync \"$@\"
";
/// Seconds after which ext4 has written names, which is every 5 s, while contents may take 30.
const NAMES_ARE_WRITTEN: u64 = 8;

pub(super) fn archive(context: &ScenarioContext) -> Result<()> {
    let cluster = Cluster::new(context, 1)?;
    let bundle = cluster.build("one", &[])?;
    let (name, address) = MASTERS[0];
    let mut moments = 0;
    loop {
        let mut machine = Machine::with_disk(&context.root, context, name, address)?;
        machine.boot()?;
        let there = unpack(&bundle, &machine, "one")?;
        machine.write("usr/sbin/sync", HOLD)?;
        machine.sh(&format!("chmod 755 /usr/sbin/sync; echo {} >/root/moment; /usr/bin/sync", moments + 1))?;
        let install = format!("{there}/install.sh; echo $? >/run/ended");
        machine.sh(&format!("setsid sh -c '{install}' >/root/said 2>&1 </dev/null &"))?;
        let is_held = "[ -e /run/ended ] || [ -e /run/held ]";
        machine.wait_until("a moment at which it writes to the disk", 200, is_held)?;
        if machine.try_sh("test -e /run/ended")?.success() {
            machine.discard()?;
            break;
        }
        machine.sh(&format!("sleep {NAMES_ARE_WRITTEN}"))?;
        machine.cut_power()?;
        machine.boot()?;
        machine.sh("rm -f /usr/sbin/sync")?;
        let status = machine.try_sh(&format!("{there}/install.sh --status"))?;
        ensure!(!status.success(), "what was half-installed is said to be well:\n{}", status.text);
        machine.sh(&format!("{there}/install.sh"))?;
        bundle.wait_healthy(&machine)?;
        wait_units_active(&machine)?;
        machine.discard()?;
        moments += 1;
    }
    ensure!(moments > 1, "install.sh wrote to the disk at {moments} moments");
    report_ok(&format!(
        "the power is cut at {moments} moments at which it writes to the disk: the next run completes it"
    ));
    Ok(())
}
