import { createRouter, createWebHistory, type RouteLocationNormalized, type RouteRecordRaw } from 'vue-router'
import { asApiError } from './api/problem'
import type { Role } from './api/types'
import { has, home, load, me, onExpired } from './state/session'
import { failure } from './state/failure'

declare module 'vue-router' {
  interface RouteMeta {
    title: string
    roles?: Role[] // who may open it; none: everybody who is logged in
    open?: boolean // no login needed
    menu?: string // its name in the menu and in data-testid
  }
}

export const routes: RouteRecordRaw[] = [
  // Never shown: the guard sends everybody to login or to his own first page.
  { path: '/', component: () => import('./pages/MissingPage.vue'), meta: { title: '首页' } },
  { path: '/login', component: () => import('./pages/LoginPage.vue'), meta: { title: '登录', open: true } },
  { path: '/desk', component: () => import('./pages/DeskPage.vue'), meta: { title: '话务台', menu: 'desk', roles: ['agent'] } },
  { path: '/dispatch', component: () => import('./pages/DispatchPage.vue'), meta: { title: '派单台', menu: 'dispatch', roles: ['dispatcher', 'admin'] } },
  { path: '/callback', component: () => import('./pages/CallbackPage.vue'), meta: { title: '回访台', menu: 'callback', roles: ['callback', 'admin'] } },
  { path: '/unit', component: () => import('./pages/UnitPage.vue'), meta: { title: '单位工作台', menu: 'unit', roles: ['unit'] } },
  { path: '/orders', component: () => import('./pages/OrdersPage.vue'), meta: { title: '工单查询', menu: 'orders' } },
  { path: '/orders/:id', component: () => import('./pages/OrderPage.vue'), meta: { title: '工单' } },
  { path: '/calls', component: () => import('./pages/CallsPage.vue'), meta: { title: '通话记录', menu: 'calls', roles: ['agent', 'dispatcher', 'callback', 'leader', 'admin'] } },
  { path: '/reports', component: () => import('./pages/ReportsPage.vue'), meta: { title: '报表', menu: 'reports', roles: ['dispatcher', 'leader', 'admin'] } },
  { path: '/reports/:id', component: () => import('./pages/ReportPage.vue'), meta: { title: '每日汇总', roles: ['dispatcher', 'leader', 'admin'] } },
  { path: '/:any(.*)*', component: () => import('./pages/MissingPage.vue'), meta: { title: '没有这个页面' } },
]

export const router = createRouter({ history: createWebHistory(), routes })

// menu lists the pages this person may open.
export function menu(): { path: string; title: string; name: string }[] {
  return routes
    .filter((r) => r.meta?.menu && (!r.meta.roles || has(...r.meta.roles)))
    .map((r) => ({ path: r.path, title: r.meta!.title, name: r.meta!.menu! }))
}

// safeNext takes only a path of our own as the page after login.
export function safeNext(next: unknown): string {
  return typeof next === 'string' && /^\/(?![/\\])/.test(next) && !next.startsWith('/login') ? next : home()
}

router.beforeEach(async (to: RouteLocationNormalized) => {
  if (to.meta.open) return true
  let known: boolean
  try {
    known = await load()
  } catch (e) {
    failure.value = asApiError(e).message
    return true
  }
  failure.value = ''
  if (!known) return { path: '/login', query: to.fullPath === '/' ? {} : { next: to.fullPath } }
  if (to.path === '/') return home()
  if (to.meta.roles && !has(...to.meta.roles)) return home()
  return true
})

router.afterEach((to) => {
  document.title = `${to.meta.title} · 12345 政务服务便民热线`
})

onExpired(() => {
  const now = router.currentRoute.value
  if (!now.meta.open && !me.value) void router.push({ path: '/login', query: { next: now.fullPath, expired: '1' } })
})
