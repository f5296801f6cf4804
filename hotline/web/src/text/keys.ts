// keyIs tells whether a key event is the shortcut, and never while an input
// method composes: Enter then chooses a Chinese word.
export function keyIs(e: KeyboardEvent, key: string, mods: { ctrl?: boolean; alt?: boolean } = {}): boolean {
  if (e.isComposing || e.keyCode === 229) return false
  const ctrl = e.ctrlKey || e.metaKey
  return e.key === key && ctrl === (mods.ctrl ?? false) && e.altKey === (mods.alt ?? false) && !e.shiftKey
}
