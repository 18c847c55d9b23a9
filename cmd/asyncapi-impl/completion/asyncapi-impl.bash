_asyncapi_impl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $word in list | show | eject | version | completion) command=$word && break ;; esac
	done
	local flags="-h --help -C --chdir --json --no-input --color" words=
	case $prev in
	--color) words="auto always never" ;;
	--deps) words="edit print none" ;;
	--on-conflict) words="fail skip overwrite" ;;
	-C | --chdir | --to) COMPREPLY=($(compgen -d -- "$cur")) && return ;;
	--file) words=$(asyncapi-impl show "${COMP_WORDS[2]}" --files 2>/dev/null) ;;
	--as | --package) return ;;
	*)
		case $command in
		"") words="list show eject version completion $flags" ;;
		list) words="$(asyncapi-impl list --names 2>/dev/null | sed 's,/.*,,' | sort -u) --names $flags" ;;
		show) words="$(asyncapi-impl list --names 2>/dev/null) --file --files --deps $flags" ;;
		eject)
			case $cur in .* | /*) COMPREPLY=($(compgen -d -- "$cur")) && return ;; esac
			words="$(asyncapi-impl list --names 2>/dev/null) --to --as --package --tests -n --dry-run --deps --on-conflict $flags"
			;;
		version) words=$flags ;;
		completion) words="bash zsh fish $flags" ;;
		esac
		;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _asyncapi_impl asyncapi-impl
