// Who is logged in here, and what he may open.
import { computed, shallowRef } from 'vue'
import { api } from '../api'
import { whenUnauthenticated } from '../api/client'
import { asApiError } from '../api/problem'
import type { Me, Role } from '../api/types'
import { connection, whenFailing } from '../live'
import { setServerTime } from './clock'

export const me = shallowRef<Me | null>(null)
export const principal = computed(() => me.value?.principal ?? null)

// has tells whether the person holds one of the roles.
export function has(...roles: Role[]): boolean {
  return principal.value?.roles.some((r) => roles.includes(r)) ?? false
}

async function fetchMe(): Promise<Me> {
  const sent = Date.now()
  const m = await api.me()
  setServerTime(m.server_time, sent, Date.now())
  return m
}

function accept(m: Me): void {
  me.value = m
  connection.start(m.ws_pos)
}

// load finds out whether a session exists. Returns false when none does;
// throws when the server cannot be asked.
export async function load(): Promise<boolean> {
  if (me.value) return true
  try {
    accept(await fetchMe())
    return true
  } catch (e) {
    if (asApiError(e).status === 401) return false
    throw e
  }
}

export async function login(name: string, password: string): Promise<void> {
  await api.login(name, password)
  accept(await fetchMe())
}

export async function logout(): Promise<void> {
  try {
    await api.logout()
  } finally {
    forget()
  }
}

// forget ends the session on this page only.
export function forget(): void {
  connection.stop()
  me.value = null
}

// home is the first page of a person.
export function home(): string {
  if (has('agent')) return '/desk'
  if (has('dispatcher')) return '/dispatch'
  if (has('callback')) return '/callback'
  if (has('unit')) return '/unit'
  if (has('leader')) return '/reports'
  return '/orders'
}

// onExpired sets where to go when the session ended under our feet.
export function onExpired(go: () => void): void {
  whenUnauthenticated(() => {
    if (!me.value) return
    forget()
    go()
  })
  whenFailing(() => {
    fetchMe().catch((e: unknown) => {
      if (asApiError(e).status === 401 && me.value) {
        forget()
        go()
      }
    })
  })
}
