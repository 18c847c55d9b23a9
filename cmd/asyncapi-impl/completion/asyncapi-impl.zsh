#compdef asyncapi-impl
_asyncapi_impl() {
	local -a global=(
		'(-h --help)'{-h,--help}'[show help]'
		'(-C --chdir)'{-C,--chdir}'[run in a directory]:directory:_files -/'
		'--json[write one JSON document to stdout]'
		'--no-input[never ask]'
		'--color[colour]:when:(auto always never)'
	)
	local curcontext=$curcontext state line
	_arguments -C $global '1:command:(list show eject version completion)' '*::argument:->arguments'
	[[ $state == arguments ]] || return
	local -a drivers=(${(f)"$(asyncapi-impl list --names 2>/dev/null)"})
	case $line[1] in
	list) _arguments $global '--names[names alone]' "*:protocol:(${(u)drivers%%/*})" ;;
	show)
		_arguments $global '--file[source of one file]:file:' '--files[names of the files]' \
			'--deps[required modules]' "1:driver:($drivers)"
		;;
	eject)
		_arguments $global '--to[directory]:directory:_files -/' '--as[directory and package]:name:' \
			'--package[package]:name:' '--tests[write the tests too]' \
			'(-n --dry-run)'{-n,--dry-run}'[write nothing]' \
			'--deps[requirements]:what:(edit print none)' \
			'--on-conflict[when files differ]:what:(fail skip overwrite)' \
			"*:driver:{ compadd -- $drivers; _files -/ }"
		;;
	version) _arguments $global ;;
	completion) _arguments $global '1:shell:(bash zsh fish)' ;;
	esac
}
compdef _asyncapi_impl asyncapi-impl
