import { describe, expect, it } from 'vitest'
import { bestFirst, initials, matches, onPath, rank } from './pinyin'

describe('pinyin', () => {
  it.each([
    ['西林街道', 'xljd'], ['宣州区', 'xzq'], ['绩溪县', 'jxx'], ['泾县', 'jx'], ['旌德县', 'jdx'], ['广德市', 'gds'], ['敬亭山', 'jts'], ['鳌峰', 'af'],
    ['教育体育局', 'jytyj'], ['城管 12319', 'cg12319'], ['油烟与噪声扰民', 'yyyzsrm'], ['', ''],
  ])('%s is %s', (name, want) => expect(initials(name)).toBe(want))

  const cgj = { name: '市城管局', code: 'CGJ', aliases: ['城市管理局', '综合执法'] }
  it.each([
    ['', true], ['城管', true], ['cgj', true], ['zhzf', true], ['CSGL', true], ['综合', true], ['教育', false], ['jyj', false],
  ])('a unit is found by "%s": %s', (typed, want) => expect(matches(cgj, typed)).toBe(want))

  it('uses the initials of the directory first, for characters with several readings', () => {
    expect(matches({ name: '长安行', code: '01', pinyin: 'cah' }, 'cah')).toBe(true)
  })
  it('finds a category by the start of its code only', () => {
    expect(matches({ name: '餐饮油烟', code: '020301' }, '0203')).toBe(true)
    expect(matches({ name: '餐饮油烟', code: '020301' }, '301')).toBe(false)
  })
  it('puts the best hit first, equal ones as they stood', () => {
    const units = ['市财政局', '市人社局', '市住建局', '市城建投', '住建', '市人社局住建科'].map((name) => ({ name }))
    const named = (typed: string) => bestFirst(units, typed, (u) => u).map((u) => u.name)
    expect(named('zjj')).toEqual(['市住建局'])
    expect(named('zj')).toEqual(['住建', '市住建局', '市财政局', '市人社局住建科'])
    expect(named('住建')).toEqual(['住建', '市住建局', '市人社局住建科'])
    expect(named('')).toHaveLength(units.length)
  })
  it.each([['0203', 0], ['02', 1], ['yy', 1], ['zs', 2], ['xx', Infinity]])('油烟与噪声扰民 0203 answers %s with rank %s', (typed, want) =>
    expect(rank({ name: '油烟与噪声扰民', code: '0203' }, typed)).toBe(want))
  it.each([['宣州西林', true], ['宣州区西林街道', true], ['宣州区 / 西林', true], ['xzxl', true], ['西林', true], ['xljd', true], ['宣州', false], ['西林宣州', false], ['宣州西林路', false], ['xzq', false], ['', false]])('宣州区 / 西林街道 lies on "%s": %s', (typed, want) =>
    expect(onPath(['宣州区', '西林街道'], typed)).toBe(want))
})
