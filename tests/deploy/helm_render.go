// What Helm does to render a chart, as far as the chart of deploy/helm uses it, since no package of Debian's or npm's has Helm itself:
// Go's text/template with the functions of sprig, as Helm takes them, and Helm's own include, tpl, required, toYaml and toJson.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

// Request is one `helm template`.
type Request struct {
	Release   string                 `json:"release"`
	Namespace string                 `json:"namespace"`
	Values    map[string]interface{} `json:"values"`
}

// Answer is what it prints: the merged values, and each file by its name, or why it fails.
type Answer struct {
	Values map[string]interface{} `json:"values"`
	Files  map[string]string      `json:"files,omitempty"`
	Error  string                 `json:"error,omitempty"`
}

func main() {
	var requests []Request
	must(json.NewDecoder(os.Stdin).Decode(&requests))
	answers := []Answer{}
	for _, request := range requests {
		answers = append(answers, render(os.Args[1], request))
	}
	must(json.NewEncoder(os.Stdout).Encode(answers))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(chart string, request Request) Answer {
	about := map[string]interface{}{}
	for key, value := range readYaml(filepath.Join(chart, "Chart.yaml")) {
		about[strings.ToUpper(key[:1])+key[1:]] = value
	}
	values := merged(readYaml(filepath.Join(chart, "values.yaml")), request.Values)
	name := about["Name"].(string)
	set := template.New("gotpl").Option("missingkey=zero")
	set.Funcs(functions(set))
	sources, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	must(err)
	for _, source := range sources {
		text, err := os.ReadFile(source)
		must(err)
		if _, err := set.New(path.Join(name, "templates", filepath.Base(source))).Parse(string(text)); err != nil {
			return Answer{Values: values, Error: err.Error()}
		}
	}
	files := map[string]string{}
	for _, source := range sources {
		file := path.Join(name, "templates", filepath.Base(source))
		if strings.HasPrefix(filepath.Base(source), "_") {
			continue
		}
		var text bytes.Buffer
		err := set.ExecuteTemplate(&text, file, map[string]interface{}{
			"Values": values,
			"Chart":  about,
			"Release": map[string]interface{}{
				"Name": request.Release, "Namespace": request.Namespace, "Service": "Helm",
				"IsInstall": true, "IsUpgrade": false, "Revision": 1,
			},
			"Template": map[string]interface{}{"Name": file, "BasePath": path.Join(name, "templates")},
		})
		if err != nil {
			return Answer{Values: values, Error: err.Error()}
		}
		files[filepath.Base(source)] = strings.ReplaceAll(text.String(), "<no value>", "")
	}
	return Answer{Values: values, Files: files}
}

// functions are sprig's without those that read the machine's environment, and Helm's own.
func functions(set *template.Template) template.FuncMap {
	all := sprig.TxtFuncMap()
	delete(all, "env")
	delete(all, "expandenv")
	all["include"] = func(name string, data interface{}) (string, error) {
		var text strings.Builder
		err := set.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	all["tpl"] = func(source string, data interface{}) (string, error) {
		inner, err := set.Clone()
		if err != nil {
			return "", err
		}
		if inner, err = inner.New("tpl").Parse(source); err != nil {
			return "", err
		}
		var text strings.Builder
		err = inner.Execute(&text, data)
		return text.String(), err
	}
	all["required"] = func(why string, value interface{}) (interface{}, error) {
		if text, isText := value.(string); value == nil || isText && text == "" {
			return value, errors.New(why)
		}
		return value, nil
	}
	all["toYaml"] = func(value interface{}) string {
		var text bytes.Buffer
		encoder := yaml.NewEncoder(&text)
		encoder.SetIndent(2)
		if encoder.Encode(value) != nil {
			return ""
		}
		return strings.TrimSuffix(text.String(), "\n")
	}
	all["toJson"] = func(value interface{}) string {
		text, err := json.Marshal(value)
		if err != nil {
			return ""
		}
		return string(text)
	}
	return all
}

// readYaml has all numbers as float64, as Helm's values have them: they go through JSON.
func readYaml(file string) map[string]interface{} {
	source, err := os.ReadFile(file)
	must(err)
	var read map[string]interface{}
	must(yaml.Unmarshal(source, &read))
	text, err := json.Marshal(read)
	must(err)
	var plain map[string]interface{}
	must(json.Unmarshal(text, &plain))
	return plain
}

// merged lays values over others, mapping by mapping; null takes one away.
func merged(under, over map[string]interface{}) map[string]interface{} {
	for key, value := range over {
		inner, isMap := value.(map[string]interface{})
		there, wasMap := under[key].(map[string]interface{})
		if value == nil {
			delete(under, key)
		} else if isMap && wasMap {
			under[key] = merged(there, inner)
		} else {
			under[key] = value
		}
	}
	return under
}
