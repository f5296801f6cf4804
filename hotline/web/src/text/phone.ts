// national writes a whole number as it is dialled inside China: without +86.
export function national(phone: string): string {
  return phone.replace(/^\+86/, '')
}
