# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_portcullis_global_optspecs
    string join \n h/help V/version
end

function __fish_portcullis_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_portcullis_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_portcullis_using_subcommand
    set -l cmd (__fish_portcullis_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c portcullis -n "__fish_portcullis_needs_command" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_needs_command" -s V -l version -d 'Print version'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "scan" -d 'Replay logs on their own clock: who attacked, who would have been banned, when and for how long'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "match" -d 'Show line by line which rule matches and which address it finds'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "explain" -d 'Say what a log line means, what would follow from it, and what an operator should check'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "check" -d 'Check the configuration and rule files: syntax, samples, and a proof of every rule'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "rules" -d 'List the rule sets in force, or print the text of one as a start for your own'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "run" -d 'Run the daemon in the foreground; daemon(8) or systemd supervise it'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "status" -d 'Show the running daemon: sources, rule sets, counters, whether the firewall is in step'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "bans" -d 'List the active bans'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "why" -d 'Tell the history of an address, with the lines that led to its bans'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "ban" -d 'Ban addresses and networks by hand'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "unban" -d 'Free addresses and networks, and forget what was counted against them; exits 1 when nothing was banned'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "reload" -d 'Have the running daemon read the configuration and the rules again; on any error the running set stays'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "doctor" -d 'Look at firewall, logs, system and daemon: would bans do anything, could you lock yourself out'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "setup" -d 'Print a complete configuration for this machine, or put it in place'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "completions" -d 'Print completions for a shell'
complete -c portcullis -n "__fish_portcullis_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c portcullis -n "__fish_portcullis_using_subcommand scan" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand scan" -l rules -d 'Ask the rule set of this file and no other, as before it is installed; may be given several times' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand scan" -l journal -d 'Read this machine\'s systemd journal, all of it or from a time on: yesterday, "2 days ago", 2026-11-22' -r
complete -c portcullis -n "__fish_portcullis_using_subcommand scan" -l top -d 'How many offenders to list' -r
complete -c portcullis -n "__fish_portcullis_using_subcommand scan" -l json -d 'Print one JSON object'
complete -c portcullis -n "__fish_portcullis_using_subcommand scan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c portcullis -n "__fish_portcullis_using_subcommand match" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand match" -l rules -d 'Ask the rule set of this file and no other, as before it is installed; may be given several times' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand match" -l journal -d 'Read this machine\'s systemd journal, all of it or from a time on: yesterday, "2 days ago", 2026-11-22' -r
complete -c portcullis -n "__fish_portcullis_using_subcommand match" -l json -d 'Print one JSON object a line'
complete -c portcullis -n "__fish_portcullis_using_subcommand match" -l all -d 'Also the lines that no rule matches'
complete -c portcullis -n "__fish_portcullis_using_subcommand match" -l missed -d 'Only lines that name an address and that no rule knows, though it should; of the configured sources if no file is named'
complete -c portcullis -n "__fish_portcullis_using_subcommand match" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand explain" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand explain" -l rules -d 'Ask the rule set of this file and no other, as before it is installed; may be given several times' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand explain" -l json -d 'Print a JSON array, with one object for each rule that knows the line'
complete -c portcullis -n "__fish_portcullis_using_subcommand explain" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand check" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand check" -l json -d 'Print one JSON object'
complete -c portcullis -n "__fish_portcullis_using_subcommand check" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand rules" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand rules" -l available -d 'List the rule sets that come with the program and are not in force; `rule_sets` in the configuration names them'
complete -c portcullis -n "__fish_portcullis_using_subcommand rules" -l json -d 'Print a JSON array with one object for each rule set, or the object of the one named, with its text'
complete -c portcullis -n "__fish_portcullis_using_subcommand rules" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand run" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand run" -l dry-run -d 'Decide, but change nothing: no root, no firewall, no database; what would be done is printed'
complete -c portcullis -n "__fish_portcullis_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c portcullis -n "__fish_portcullis_using_subcommand status" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand status" -l socket -d 'The daemon\'s socket [default: the configured one]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand status" -l json -d 'Print JSON'
complete -c portcullis -n "__fish_portcullis_using_subcommand status" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand bans" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand bans" -l socket -d 'The daemon\'s socket [default: the configured one]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand bans" -l json -d 'Print JSON'
complete -c portcullis -n "__fish_portcullis_using_subcommand bans" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand why" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand why" -l socket -d 'The daemon\'s socket [default: the configured one]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand why" -l json -d 'Print JSON'
complete -c portcullis -n "__fish_portcullis_using_subcommand why" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand ban" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand ban" -l socket -d 'The daemon\'s socket [default: the configured one]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand ban" -l for -d 'For how long, as in 1h or 4w; `forever` [default: the configured length]' -r
complete -c portcullis -n "__fish_portcullis_using_subcommand ban" -l reason -d 'The reason, shown by `bans` and `why`' -r
complete -c portcullis -n "__fish_portcullis_using_subcommand ban" -l json -d 'Print JSON'
complete -c portcullis -n "__fish_portcullis_using_subcommand ban" -l force -d 'Also ban what is on the allow list, or contains an address that is'
complete -c portcullis -n "__fish_portcullis_using_subcommand ban" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand unban" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand unban" -l socket -d 'The daemon\'s socket [default: the configured one]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand unban" -l json -d 'Print JSON'
complete -c portcullis -n "__fish_portcullis_using_subcommand unban" -l all -d 'End all bans'
complete -c portcullis -n "__fish_portcullis_using_subcommand unban" -l offline -d 'Work on the database and the firewall directly, when the daemon does not run'
complete -c portcullis -n "__fish_portcullis_using_subcommand unban" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand reload" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand reload" -l socket -d 'The daemon\'s socket [default: the configured one]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand reload" -l json -d 'Print JSON'
complete -c portcullis -n "__fish_portcullis_using_subcommand reload" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand doctor" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand doctor" -l json -d 'Print one JSON object'
complete -c portcullis -n "__fish_portcullis_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c portcullis -n "__fish_portcullis_using_subcommand setup" -s c -l config -d 'The configuration file [default: the installed one, if there is any]' -r -F
complete -c portcullis -n "__fish_portcullis_using_subcommand setup" -l write -d 'Write it to the configuration file, unless there is one that you changed'
complete -c portcullis -n "__fish_portcullis_using_subcommand setup" -l overwrite -d 'Move the file that is there aside, to FILE.old'
complete -c portcullis -n "__fish_portcullis_using_subcommand setup" -l json -d 'Print one JSON object'
complete -c portcullis -n "__fish_portcullis_using_subcommand setup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c portcullis -n "__fish_portcullis_using_subcommand completions" -s h -l help -d 'Print help'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "scan" -d 'Replay logs on their own clock: who attacked, who would have been banned, when and for how long'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "match" -d 'Show line by line which rule matches and which address it finds'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "explain" -d 'Say what a log line means, what would follow from it, and what an operator should check'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "check" -d 'Check the configuration and rule files: syntax, samples, and a proof of every rule'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "rules" -d 'List the rule sets in force, or print the text of one as a start for your own'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "run" -d 'Run the daemon in the foreground; daemon(8) or systemd supervise it'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "status" -d 'Show the running daemon: sources, rule sets, counters, whether the firewall is in step'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "bans" -d 'List the active bans'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "why" -d 'Tell the history of an address, with the lines that led to its bans'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "ban" -d 'Ban addresses and networks by hand'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "unban" -d 'Free addresses and networks, and forget what was counted against them; exits 1 when nothing was banned'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "reload" -d 'Have the running daemon read the configuration and the rules again; on any error the running set stays'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "doctor" -d 'Look at firewall, logs, system and daemon: would bans do anything, could you lock yourself out'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "setup" -d 'Print a complete configuration for this machine, or put it in place'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "completions" -d 'Print completions for a shell'
complete -c portcullis -n "__fish_portcullis_using_subcommand help; and not __fish_seen_subcommand_from scan match explain check rules run status bans why ban unban reload doctor setup completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
