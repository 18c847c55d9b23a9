#compdef asyncapi-impl
_asyncapi_impl() {
	local -a global=(
		'(-h --help)'{-h,--help}'[show help]'
		'(-C --chdir)'{-C,--chdir}'[run in a directory]:directory:_files -/'
		'--json[write one JSON document to stdout]'
		'--no-input[never ask]'
		'--color[colour]:when:(auto always never)'
	)
	local -a commands=(list show eject status diff update verify remove adopt new doctor help schema version completion)
	local -a dry_run=('(-n --dry-run)'{-n,--dry-run}'[write nothing]')
	local -a deps=('--deps[requirements]:what:(edit print none)')
	local curcontext=$curcontext state line
	_arguments -C $global "1:command:($commands)" '*::argument:->arguments'
	[[ $state == arguments ]] || return
	local -a drivers=(${(f)"$(asyncapi-impl list --names 2>/dev/null)"})
	local ejected='*:ejected package:{ compadd -- ${(f)"$(asyncapi-impl status --names 2>/dev/null)"} }'
	case $line[1] in
	list) _arguments $global '--names[names alone]' "*:protocol:(${(u)drivers%%/*})" ;;
	show)
		_arguments $global '--file[source of one file]:file:' '--files[names of the files]' \
			'--deps[required modules]' "1:driver:($drivers)"
		;;
	eject)
		_arguments $global '--from[AsyncAPI document]:file:_files' "--use[driver for its protocol]:driver:($drivers)" \
			'--strict[fail if a protocol has no driver]' \
			'--to[directory]:directory:_files -/' '--as[directory and package]:name:' \
			'--package[package]:name:' '--tests[write the tests too]' $dry_run $deps \
			'--on-conflict[when files differ]:what:(fail skip overwrite)' \
			"*:driver:{ compadd -- $drivers; _files -/ }"
		;;
	status) _arguments $global '--names[directories alone]' '--exit-code[status 3 if anything differs]' $ejected ;;
	diff)
		_arguments $global '--local[what you changed]' '--upstream[what changed in the catalog]' \
			'--all[yours against the catalog]' '--stat[count the lines]' '--name-only[names of the files]' \
			'--exit-code[status 3 if anything differs]' $ejected
		;;
	update)
		_arguments $global '--all[every ejected package]' '--ours[keep your side of a conflict]' \
			'--theirs[take the catalog side]' '--abort[take the last update back]' \
			'--restore[bring deleted files back]' $dry_run $deps $ejected
		;;
	verify)
		_arguments $global '--pristine[nothing may be changed]' '--latest[nothing may be older]' \
			'--build[run go vet]' $ejected
		;;
	remove)
		_arguments $global '--force[delete edited files]' '--keep-modified[leave edited files]' $dry_run $ejected
		;;
	adopt) _arguments $global '1:directory:_files -/' "2:driver:($drivers)" ;;
	new)
		_arguments $global '--lib[client library]:name:' '--as[directory and package]:name:' $dry_run \
			'1:protocol:' '2:directory:_files -/'
		;;
	doctor) _arguments $global '--fix[undo an interrupted run]' ;;
	help) _arguments $global "1:topic:(exit-codes environment manifest own-driver $commands)" ;;
	schema) _arguments $global "1:document:(manifest output $commands)" ;;
	version) _arguments $global ;;
	completion) _arguments $global '1:shell:(bash zsh fish)' ;;
	esac
}
compdef _asyncapi_impl asyncapi-impl
