package stats

import (
	"strings"
	"testing"
)

func TestMaskDigits(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"mobile", "来电13812345678反映噪声", "来电138****反映噪声"},
		{"mobile in groups", "电话 138 1234 5678。", "电话 138****。"},
		{"landline", "0563-3021234 无人接", "056****" + " 无人接"},
		{"local", "3021234", "302****"},
		{"identity card", "身份证34250119900101123X的", "身份证342****的"},
		{"full width", "１３８１２３４５６７８", "１３８****"},
		{"house number", "昭亭路 12 号 3 单元 1501 室", "昭亭路 12 号 3 单元 1501 室"},
		{"hotline", "12345 和 110", "12345 和 110"},
		{"date", "11月23日8时", "11月23日8时"},
		{"two numbers", "13812345678、13987654321", "138****、139****"},
		{"none", "路灯不亮", "路灯不亮"},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := MaskDigits(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzMaskDigits(f *testing.F) {
	for _, s := range []string{"13812345678", "a1b2", "1 3 8-1234·5678", "１２３４５６７8", "x\xff1234567", "1.2.3.4.5.6.7"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		run := 0
		for _, r := range MaskDigits(s) {
			switch {
			case isDigit(r):
				if run++; run >= longDigits {
					t.Fatalf("%q keeps a run of %d digits", s, run)
				}
			case !isJoint(r):
				run = 0
			}
		}
		if again := MaskDigits(MaskDigits(s)); strings.Count(again, "****") < strings.Count(MaskDigits(s), "****") {
			t.Fatalf("%q: masking twice unmasked", s)
		}
	})
}
