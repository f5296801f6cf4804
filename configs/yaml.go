package configs

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// reader decodes one YAML file into a struct by its yaml tags and remembers
// where each key stood. The library's own strict decoding stops at the first
// fault; this one walks its syntax tree and finds them all.
type reader struct {
	file   string
	at     map[string]token.Position // key path → its value's place
	from   map[string]bool           // environment variables that set a value
	faults []Fault
}

func newReader(file string) *reader {
	return &reader{file: file, at: map[string]token.Position{}, from: map[string]bool{}}
}

func (r *reader) err() error { return asError(r.faults) }

// fault notes a fault of a key, at its place if the file names it.
func (r *reader) fault(path, format string, args ...any) {
	p := r.at[path]
	r.faults = append(r.faults, Fault{File: r.file, Line: p.Line, Column: p.Column, Field: path, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) faultAt(n ast.Node, path, format string, args ...any) {
	if t := n.GetToken(); t != nil && t.Position != nil {
		r.at[path] = *t.Position
	}
	r.fault(path, format, args...)
}

// decode reads src over *to, a pointer to a struct: keys that are absent or
// null leave their fields as they are, lists replace as a whole.
func (r *reader) decode(src []byte, to any) {
	src = withoutMark(src)
	if f, ok := notUTF8(r.file, src); ok {
		r.faults = append(r.faults, f)
		return
	}
	file, err := parser.ParseBytes(src, 0)
	if err != nil {
		f := Fault{File: r.file, Message: "不是合法的 YAML"}
		if s, ok := errors.AsType[*yaml.SyntaxError](err); ok {
			f.Message += "：" + s.Message
			if s.Token != nil && s.Token.Position != nil {
				f.Line, f.Column = s.Token.Position.Line, s.Token.Position.Column
			}
		}
		r.faults = append(r.faults, f)
		return
	}
	docs := slices.DeleteFunc(file.Docs, func(d *ast.DocumentNode) bool { return d.Body == nil })
	switch {
	case len(docs) > 1:
		r.faultAt(docs[1].Body, "", "只能有一个 YAML 文档")
	case len(docs) == 1:
		r.value(docs[0].Body, "", reflect.ValueOf(to).Elem())
	}
}

// entries returns the pairs of a mapping, and false for any other node.
func entries(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
)

func (r *reader) value(n ast.Node, path string, v reflect.Value) {
	switch n.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		r.faultAt(n, path, "不支持锚点、别名与标签")
		return
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		r.at[path] = *t.Position
	}
	text, scalar := scalarText(n)
	switch {
	case v.Type() == durationType:
		d, err := time.ParseDuration(text)
		if !scalar || err != nil {
			r.fault(path, "须为时长，如 30s、2h")
			return
		}
		v.SetInt(int64(d))
	case v.Type() == prefixType:
		p, err := parsePrefix(text)
		if !scalar || err != nil {
			r.fault(path, "须为 IP 地址或网段，如 10.0.0.0/8")
			return
		}
		v.Set(reflect.ValueOf(p))
	case v.CanAddr() && v.Addr().Type().Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); !scalar || err != nil {
			r.fault(path, "值 %q 无效", text)
		}
	case v.Kind() == reflect.Struct:
		r.fields(n, path, v)
	case v.Kind() == reflect.Map:
		r.texts(n, path, v)
	case v.Kind() == reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			r.fault(path, "须为列表")
			return
		}
		list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
		for i, one := range seq.Values {
			r.value(one, fmt.Sprintf("%s[%d]", path, i), list.Index(i))
		}
		v.Set(list)
	case v.Kind() == reflect.String:
		if !scalar {
			r.fault(path, "须为文字")
			return
		}
		v.SetString(text)
	case v.Kind() == reflect.Int:
		i, ok := n.(*ast.IntegerNode)
		if !ok {
			r.fault(path, "须为整数")
			return
		}
		switch x := i.Value.(type) {
		case int64:
			v.SetInt(x)
		case uint64:
			if x > 1<<62 {
				r.fault(path, "整数过大")
				return
			}
			v.SetInt(int64(x))
		}
	case v.Kind() == reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			r.fault(path, "须为 true 或 false")
			return
		}
		v.SetBool(b.Value)
	default:
		panic("configs: no decoding for " + v.Type().String())
	}
}

// fields reads a mapping into a struct; every key must be one of its tags.
func (r *reader) fields(n ast.Node, path string, v reflect.Value) {
	pairs, ok := entries(n)
	if !ok {
		r.fault(path, "须为键值表")
		return
	}
	byTag := map[string]int{}
	var tags []string
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("yaml")
		byTag[tag] = i
		tags = append(tags, tag)
	}
	for _, p := range pairs {
		key := p.Key.GetToken().Value
		sub := join(path, key)
		i, known := byTag[key]
		if !known {
			r.faultAt(p.Key, sub, "未知的键，可用：%s", strings.Join(tags, "、"))
			continue
		}
		r.at[sub] = *p.Key.GetToken().Position
		r.value(p.Value, sub, v.Field(i))
	}
}

// texts reads a mapping of names to texts.
func (r *reader) texts(n ast.Node, path string, v reflect.Value) {
	pairs, ok := entries(n)
	if !ok {
		r.fault(path, "须为键值表")
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, p := range pairs {
		key := p.Key.GetToken().Value
		one := reflect.New(v.Type().Elem()).Elem()
		r.value(p.Value, join(path, key), one)
		v.SetMapIndex(reflect.ValueOf(key), one)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// scalarText returns the text of a scalar as it stands in the file.
func scalarText(n ast.Node) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.LiteralNode:
		return s.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// parsePrefix reads a network, or one address as the network of itself.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}
