package document

import (
	"slices"
	"strings"

	"github.com/asyncapi-impl/asyncapi-impl/catalog"
	"github.com/asyncapi-impl/asyncapi-impl/internal/problem"
)

// Choice is the driver for a protocol of a document.
type Choice struct {
	// Protocol is as the document has it.
	Protocol string `json:"protocol"`
	Needs    string `json:"needs"`
	// Driver is empty if the catalog has none.
	Driver  string   `json:"driver,omitempty"`
	Default bool     `json:"default"`
	Servers []string `json:"servers"`
}

// Choose gives a driver for each protocol: that among the names, which are
// drivers in any form that the catalog finds, or else the default.
func (d *Document) Choose(c *catalog.Catalog, names []string) ([]Choice, error) {
	wanted := map[string]catalog.Driver{}
	for _, name := range names {
		driver, err := c.Find(name)
		if err != nil {
			return nil, err
		}
		if other, twice := wanted[driver.Protocol]; twice && other != driver {
			return nil, problem.NewUsage(problem.Usage, "%s and %s are both for %s", other.ID(), driver.ID(), driver.Protocol).
				WithHint("choose one; the other is ejected with --as, without --from")
		}
		wanted[driver.Protocol] = driver
	}
	choices := []Choice{}
	for _, s := range d.Servers {
		same := func(c Choice) bool { return c.Protocol == s.Protocol && c.Needs == s.Needs }
		if i := slices.IndexFunc(choices, same); i >= 0 {
			choices[i].Servers = append(choices[i].Servers, s.Name)
			continue
		}
		choice := Choice{Protocol: s.Protocol, Needs: s.Needs, Servers: []string{s.Name}}
		if driver, ok := wanted[s.Needs]; ok {
			choice.Driver, choice.Default = driver.ID(), driver.Default
		} else {
			for _, driver := range c.Of(s.Needs) {
				if driver.Default {
					choice.Driver, choice.Default = driver.ID(), true
				}
			}
		}
		choices = append(choices, choice)
	}
	for protocol, driver := range wanted {
		if !slices.ContainsFunc(choices, func(c Choice) bool { return c.Needs == protocol }) {
			return nil, problem.NewUsage(problem.Usage, "%s was chosen, but no server of the document speaks %s", driver.ID(), protocol).
				WithHint("the servers speak %s", strings.Join(protocols(choices), ", "))
		}
	}
	return choices, nil
}

func protocols(choices []Choice) []string {
	var names []string
	for _, c := range choices {
		names = append(names, c.Needs)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
