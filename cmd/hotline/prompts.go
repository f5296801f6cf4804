package main

import (
	"context"
	"fmt"

	"hotline12345/configs"
)

type promptsCmd struct {
	Texts string `help:"文字清单；缺省用内置 / file of texts; default: built in" type:"path" placeholder:"texts.yaml"`
	Out   string `default:"configs/prompts" help:"输出目录 / folder to write to" type:"path"`
}

// Run speaks every text of the list with espeak-ng and sox into WAV files.
func (c *promptsCmd) Run(ctx context.Context) error {
	texts, err := configs.LoadPromptTexts(c.Texts)
	if err != nil {
		return err
	}
	if err := configs.MakePrompts(ctx, texts, c.Out); err != nil {
		return err
	}
	fmt.Println("语音提示已生成 / prompts made:", c.Out)
	return nil
}
