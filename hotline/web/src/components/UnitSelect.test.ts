// @vitest-environment happy-dom
import { mount } from '@vue/test-utils'
import { describe, expect, it, vi } from 'vitest'
import { defineComponent, nextTick } from 'vue'
import type { Node } from '../text/tree'
import UnitSelect from './UnitSelect.vue'

vi.mock('../state/directory', () => {
  const unit = (value: string, label: string, children?: Node[]): Node => ({ value, label, search: { name: label, code: value }, ...(children ? { children } : {}) })
  return {
    unitTree: {
      value: [
        unit('#1', '市直单位', [unit('CZJ', '市财政局'), unit('CGJ', '市城管局'), unit('ZJJ', '市住建局')]),
        unit('#2', '县市区', [unit('341802', '宣州区', [unit('341802001', '西林街道', [unit('341802001201', '周家村')])])]),
      ],
    },
  }
})

// The library's parts, as far as this component leans on them.
const part = (name: string) => defineComponent({ name, props: ['modelValue', 'filterMethod', 'reserveKeyword'], emits: ['update:modelValue', 'visible-change'], setup: (_, { slots }) => () => slots.default?.() })
const ElSelect = part('ElSelect')

describe('UnitSelect', () => {
  const show = (modelValue: string | string[], multiple = false) => {
    const w = mount(UnitSelect, { props: { modelValue, multiple, placeholder: '' }, global: { components: { ElSelect, ElOption: part('ElOption'), ElOptionGroup: part('ElOptionGroup') } } })
    const select = w.findComponent(ElSelect)
    const hits = () => w.findAll('[data-testid=unit-hit]').map((x) => x.text())
    const type = async (q: string) => {
      ;(select.props('filterMethod') as (q: string) => void)(q)
      await nextTick()
    }
    return { w, select, hits, type }
  }
  it('lists groups two levels deep, and what is chosen below them', () => {
    expect(show('').hits()).toEqual(['市财政局', '市城管局', '市住建局', '宣州区', '西林街道'])
    expect(show('341802001201').hits()[0]).toBe('周家村')
  })
  it('puts the best hit first', async () => {
    const { hits, type } = show('')
    await type('zj')
    expect(hits()).toEqual(['市住建局', '周家村', '市财政局'])
  })
  it('looks for the next one anew after a choice', async () => {
    const { w, select, hits, type } = show([], true)
    await type('cgj')
    expect(hits()).toEqual(['市城管局'])
    select.vm.$emit('update:modelValue', ['CGJ'])
    await nextTick()
    expect(w.emitted('update:modelValue')?.[0]).toEqual([['CGJ']])
    expect(hits()).toHaveLength(5)
    expect(select.props('reserveKeyword')).toBe(false)
  })
})
