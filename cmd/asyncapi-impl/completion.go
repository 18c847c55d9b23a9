package main

import "embed"

//go:embed completion
var completions embed.FS

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell: ${enum}."`
}

func (*completionCmd) Help() string {
	return `For example, in ~/.bashrc: source <(asyncapi-impl completion bash)`
}

func (c *completionCmd) Run(out *text) error {
	script, err := completions.ReadFile("completion/asyncapi-impl." + c.Shell)
	if err != nil {
		return err
	}
	return out.script(c.Shell, script)
}
