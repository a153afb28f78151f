# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_kube_bundle_global_optspecs
    string join \n json q/quiet color= h/help V/version
end

function __fish_kube_bundle_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_kube_bundle_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_kube_bundle_using_subcommand
    set -l cmd (__fish_kube_bundle_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -s V -l version -d 'Print version'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "init" -d 'Write a commented cluster.toml to begin with'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "plan" -d 'Show what a build would make: machines, files, certificates, downloads'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "fetch" -d 'Fill the store with everything a build needs from the network'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "build" -d 'Build the bundle'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "verify" -d 'Check a bundle, or one archive of it, against its checksums'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "inspect" -d 'List what is inside an archive, without unpacking it'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "pki" -d 'Keys and certificates'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "recipe" -d 'Releases as data'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "store" -d 'What builds share: downloads, and programs that are compressed already'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "demo" -d 'Run the whole pipeline with stand-in programs: no network, no files needed'
complete -c kube-bundle -n "__fish_kube_bundle_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand plan" -s c -l cluster -d 'The file that describes the cluster' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand plan" -l recipe -d 'Another recipe than cluster.toml names: an embedded one, or ./DIR' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand plan" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand plan" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand plan" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -s c -l cluster -d 'The file that describes the cluster' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l recipe -d 'Another recipe than cluster.toml names: an embedded one, or ./DIR' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l from -d 'A mirror to try first: files by name, or laid out as upstream serves them; may be repeated' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -s j -l jobs -d 'How many things to do at a time [default: the number of processors, and four downloads at least]' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l timeout -d 'For how long a server may send nothing' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l retries -d 'How often to try again when a server fails or a connection breaks' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l offline -d 'Never touch the network'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand fetch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -s c -l cluster -d 'The file that describes the cluster' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l recipe -d 'Another recipe than cluster.toml names: an embedded one, or ./DIR' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l from -d 'A mirror to try first: files by name, or laid out as upstream serves them; may be repeated' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -s j -l jobs -d 'How many things to do at a time [default: the number of processors, and four downloads at least]' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l timeout -d 'For how long a server may send nothing' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l retries -d 'How often to try again when a server fails or a connection breaks' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -s o -l out -d 'Where to [default: ./out/<cluster>]' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l format -d 'What to pack, instead of what cluster.toml says: `tarball`, `deb`, `nocloud`, `initrd`, `user-data`; the last three carry packages or archives, which are written too' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l deb-layout -d 'How files are spread over packages: `split` shares one package for each program among all machines, `fat` makes one package for each machine, with everything in it' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l deb-compression -d 'How packages are compressed: `gzip`, which every dpkg reads; `zstd`, for Debian 12, Ubuntu 18.04 and later; `xz`, which every dpkg reads and which takes ten times as long to write' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l seed -d 'How seeds for the first boot are spread over images: `whole` makes one for each machine, with everything in it, `split` puts the programs on one that all machines share' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l seed-image -d 'The file system of seed disks: `iso`, or `vfat` for platforms that attach no optical disk' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l offline -d 'Never touch the network'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand verify" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand verify" -l deep -d 'Read inside every archive as well'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand verify" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand verify" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand inspect" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand inspect" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand inspect" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -f -a "status" -d 'Show who signs whom, and what expires when'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -f -a "renew" -d 'Reissue certificates with their keys; without an ID, all that are no CA'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and not __fish_seen_subcommand_from status renew help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -s c -l cluster -d 'The file that describes the cluster' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -l recipe -d 'Another recipe than cluster.toml names: an embedded one, or ./DIR' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from renew" -s c -l cluster -d 'The file that describes the cluster' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from renew" -l recipe -d 'Another recipe than cluster.toml names: an embedded one, or ./DIR' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from renew" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from renew" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from renew" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from renew" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show who signs whom, and what expires when'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from help" -f -a "renew" -d 'Reissue certificates with their keys; without an ID, all that are no CA'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand pki; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -f -a "list" -d 'List the recipes that the program carries'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -f -a "show" -d 'Show a recipe: components, pins and who published them, files'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -f -a "export" -d 'Write an editable copy of a recipe'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -f -a "pin" -d 'Compute digests and sizes of binaries you hold, and write them into recipe.toml'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and not __fish_seen_subcommand_from list show export pin help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from list" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from show" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from show" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from export" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from export" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from pin" -l from -d 'Where the binaries are' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from pin" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from pin" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from pin" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from pin" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the recipes that the program carries'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show a recipe: components, pins and who published them, files'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write an editable copy of a recipe'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from help" -f -a "pin" -d 'Compute digests and sizes of binaries you hold, and write them into recipe.toml'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand recipe; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and not __fish_seen_subcommand_from prune help" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and not __fish_seen_subcommand_from prune help" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and not __fish_seen_subcommand_from prune help" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and not __fish_seen_subcommand_from prune help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and not __fish_seen_subcommand_from prune help" -f -a "prune" -d 'Remove compressed programs that no build has used lately; a build that wants them makes them again'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and not __fish_seen_subcommand_from prune help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from prune" -l days -d 'For how many days they were not used; 0 removes all' -r
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from prune" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from prune" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from prune" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove compressed programs that no build has used lately; a build that wants them makes them again'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand store; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand demo" -s o -l out -d 'Where to' -r -F
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand demo" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand demo" -l json -d 'Print results as JSON'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand demo" -s q -l quiet -d 'Say nothing but results, warnings and errors'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify inspect pki recipe store demo help" -f -a "init" -d 'Write a commented cluster.toml to begin with'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify inspect pki recipe store demo help" -f -a "plan" -d 'Show what a build would make: machines, files, certificates, downloads'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify inspect pki recipe store demo help" -f -a "fetch" -d 'Fill the store with everything a build needs from the network'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify inspect pki recipe store demo help" -f -a "build" -d 'Build the bundle'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify inspect pki recipe store demo help" -f -a "verify" -d 'Check a bundle, or one archive of it, against its checksums'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify inspect pki recipe store demo help" -f -a "inspect" -d 'List what is inside an archive, without unpacking it'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify inspect pki recipe store demo help" -f -a "pki" -d 'Keys and certificates'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify inspect pki recipe store demo help" -f -a "recipe" -d 'Releases as data'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify inspect pki recipe store demo help" -f -a "store" -d 'What builds share: downloads, and programs that are compressed already'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify inspect pki recipe store demo help" -f -a "demo" -d 'Run the whole pipeline with stand-in programs: no network, no files needed'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and not __fish_seen_subcommand_from init plan fetch build verify inspect pki recipe store demo help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from pki" -f -a "status" -d 'Show who signs whom, and what expires when'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from pki" -f -a "renew" -d 'Reissue certificates with their keys; without an ID, all that are no CA'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from recipe" -f -a "list" -d 'List the recipes that the program carries'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from recipe" -f -a "show" -d 'Show a recipe: components, pins and who published them, files'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from recipe" -f -a "export" -d 'Write an editable copy of a recipe'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from recipe" -f -a "pin" -d 'Compute digests and sizes of binaries you hold, and write them into recipe.toml'
complete -c kube-bundle -n "__fish_kube_bundle_using_subcommand help; and __fish_seen_subcommand_from store" -f -a "prune" -d 'Remove compressed programs that no build has used lately; a build that wants them makes them again'
