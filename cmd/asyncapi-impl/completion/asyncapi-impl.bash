_asyncapi_impl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word
	local commands="list show eject status diff update verify remove adopt new doctor help schema version completion"
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case " $commands " in *" $word "*) command=$word && break ;; esac
	done
	local flags="-h --help -C --chdir --json --no-input --color" words=
	local drivers='asyncapi-impl list --names' ejected='asyncapi-impl status --names'
	case $prev in
	--color) words="auto always never" ;;
	--deps) words="edit print none" ;;
	--on-conflict) words="fail skip overwrite" ;;
	-C | --chdir | --to) COMPREPLY=($(compgen -d -- "$cur")) && return ;;
	--from) COMPREPLY=($(compgen -f -- "$cur")) && return ;;
	--use) words=$($drivers 2>/dev/null) ;;
	--file) words=$(asyncapi-impl show "${COMP_WORDS[2]}" --files 2>/dev/null) ;;
	--as | --package | --lib) return ;;
	*)
		case $command in
		"") words="$commands $flags" ;;
		list) words="$($drivers 2>/dev/null | sed 's,/.*,,' | sort -u) --names $flags" ;;
		show) words="$($drivers 2>/dev/null) --file --files --deps $flags" ;;
		eject)
			case $cur in .* | /*) COMPREPLY=($(compgen -d -- "$cur")) && return ;; esac
			words="$($drivers 2>/dev/null) --from --use --strict --to --as --package --tests -n --dry-run --deps --on-conflict $flags"
			;;
		status) words="$($ejected 2>/dev/null) --names --exit-code $flags" ;;
		diff) words="$($ejected 2>/dev/null) --local --upstream --all --stat --name-only --exit-code $flags" ;;
		update) words="$($ejected 2>/dev/null) --all -n --dry-run --ours --theirs --abort --restore --deps $flags" ;;
		verify) words="$($ejected 2>/dev/null) --pristine --latest --build $flags" ;;
		remove) words="$($ejected 2>/dev/null) -n --dry-run --force --keep-modified $flags" ;;
		adopt)
			if [[ $prev == adopt ]]; then COMPREPLY=($(compgen -d -- "$cur")) && return; fi
			words="$($drivers 2>/dev/null) $flags"
			;;
		new)
			case $cur in .* | /*) COMPREPLY=($(compgen -d -- "$cur")) && return ;; esac
			words="--lib --as -n --dry-run $flags"
			;;
		doctor) words="--fix $flags" ;;
		help) words="exit-codes environment manifest own-driver $commands $flags" ;;
		schema) words="manifest output $commands $flags" ;;
		version) words=$flags ;;
		completion) words="bash zsh fish $flags" ;;
		esac
		;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _asyncapi_impl asyncapi-impl
