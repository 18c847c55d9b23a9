package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// flagsFirst puts the flags right behind the command: kong ends a list of
// arguments at the first flag, and people write flags anywhere.
func flagsFirst(app *kong.Application, args []string) []string {
	takesValue := map[string]bool{}
	var walk func(*kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			takesValue["--"+f.Name] = !f.IsBool()
			if f.Short != 0 {
				takesValue["-"+string(f.Short)] = !f.IsBool()
			}
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(app.Node)

	var flags, plain []string
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--":
			plain = append(plain, args[i:]...)
			i = len(args)
		case !strings.HasPrefix(arg, "-") || arg == "-":
			plain = append(plain, arg)
		default:
			flags = append(flags, arg)
			if takesValue[arg] && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
		}
	}
	return slices.Insert(plain, min(1, len(plain)), flags...)
}
