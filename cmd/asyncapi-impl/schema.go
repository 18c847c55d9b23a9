package main

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/asyncapi-impl/asyncapi-impl/internal/document"
	"github.com/asyncapi-impl/asyncapi-impl/internal/gomod"
	"github.com/asyncapi-impl/asyncapi-impl/internal/manifest"
	"github.com/asyncapi-impl/asyncapi-impl/internal/own"
	"github.com/asyncapi-impl/asyncapi-impl/internal/plan"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

type schemaCmd struct {
	Document string `arg:"" help:"manifest, output (of any command with --json), or a command."`
}

func (c *schemaCmd) Run(out *text) error {
	s, ok := schemas()[c.Document]
	if !ok {
		return problem.NewUsage(problem.Usage, "no schema of %q", c.Document).
			WithHint("%s", strings.Join(slices.Sorted(maps.Keys(schemas())), ", "))
	}
	return out.schema(s)
}

// object is a JSON object whose fields are made of values of the fields' types.
// A name that ends in ? is optional.
type object map[string]any

// outputs are the documents of the commands.
var outputs = map[string]object{
	"list":       {"drivers?": []entry{}, "names?": []string{}},
	"show":       {"driver?": entry{}, "files?": []string{}, "requires?": []requirement{}, "go?": "", "file?": "", "source?": "", "conformance?": []string{}},
	"eject":      ejected(object{"document?": document.Document{}, "choices?": []document.Choice{}}),
	"new":        ejected(nil),
	"status":     {"packages?": []own.Copy{}, "broken?": []object{{"dir": "", "error": failure}}, "dirs?": []string{}},
	"diff":       {"packages": []own.Diff{}},
	"update":     {"dryRun": false, "packages": []own.Update{}},
	"remove":     {"dryRun": false, "packages": []own.Removal{}},
	"verify":     {"dirs": []string{}, "findings": []own.Finding{}},
	"adopt":      {"package": own.Adoption{}},
	"doctor":     {"checks": []own.Diagnosis{}},
	"help":       {"topics?": []string{}, "topic?": "", "text?": ""},
	"completion": {"shell": "", "script": ""},
	"version":    {"version": "", "sum": "", "module": "", "go": "", "drivers": 0, "protocols": 0},
}

var failure = object{"code": enum(problem.Codes), "message": "", "hint?": "", "files?": []string{}}

// enum is a string that is one of these.
type enum []string

func ejected(more object) object {
	o := object{"dryRun": false, "packages": []plan.Package{}, "requires": []gomod.Change{}, "next": []string{}, "notes": []string{}}
	maps.Copy(o, more)
	return o
}

// schemas are the JSON Schemas by name.
func schemas() map[string]object {
	all := map[string]object{"manifest": typeOf(reflect.TypeFor[manifest.Manifest]())}
	definitions := object{}
	var refs []object
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		all[name] = output(outputs[name])
		definitions[name] = output(outputs[name])
		refs = append(refs, object{"$ref": "#/$defs/" + name})
	}
	all["output"] = object{"anyOf": refs, "$defs": definitions}
	for _, s := range all {
		s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	}
	return all
}

// output is the schema of a command's document: with "ok" it has the command's
// fields, without it the error, and the fields too where there is a result.
func output(o object) object {
	s := schemaOf(o)
	properties := s["properties"].(object)
	properties["schema"] = object{"const": 1}
	properties["ok"] = object{"type": "boolean"}
	properties["error"] = schemaOf(failure)
	fields := s["required"]
	s["required"] = []string{"schema", "ok"}
	s["if"] = object{"properties": object{"ok": object{"const": true}}}
	s["then"] = object{"required": fields, "not": object{"required": []string{"error"}}}
	s["else"] = object{"required": []string{"error"}}
	return s
}

// schemaOf gives the schema of a value that stands for all of its type.
func schemaOf(value any) object {
	switch v := value.(type) {
	case enum:
		return object{"enum": []string(v)}
	case []object:
		return object{"type": "array", "items": schemaOf(v[0])}
	case object:
		properties, required := object{}, []string{}
		for name, field := range v {
			name, optional := strings.CutSuffix(name, "?")
			properties[name] = schemaOf(field)
			if !optional {
				required = append(required, name)
			}
		}
		slices.Sort(required)
		return closed(properties, required)
	}
	return typeOf(reflect.TypeOf(value))
}

func closed(properties object, required []string) object {
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

func typeOf(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Pointer:
		return typeOf(t.Elem())
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int:
		return object{"type": "integer"}
	case reflect.Slice:
		return object{"type": "array", "items": typeOf(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": typeOf(t.Elem())}
	case reflect.Struct:
		properties, required := object{}, []string{}
		for i := range t.NumField() {
			name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if !t.Field(i).IsExported() || name == "-" {
				continue
			}
			properties[name] = typeOf(t.Field(i).Type)
			if options != "omitempty" {
				required = append(required, name)
			}
		}
		return closed(properties, required)
	}
	return object{"type": "string"}
}
