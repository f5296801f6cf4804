// A command on an order: busy while it runs, faults by field, and the
// colleague's change when it was too late. What was typed is never touched.
import { ElMessage } from 'element-plus'
import { computed, ref, shallowRef } from 'vue'
import { asApiError, type ApiError } from '../api/problem'

export function useCommand() {
  const busy = ref(false)
  const error = shallowRef<ApiError | null>(null)
  const fields = computed<Record<string, string>>(() => error.value?.fields ?? {})

  // run returns the answer, or null when it failed.
  async function run<T>(act: () => Promise<T>, done = ''): Promise<T | null> {
    if (busy.value) return null
    busy.value = true
    error.value = null
    try {
      const answer = await act()
      if (done !== '') ElMessage.success(done)
      return answer
    } catch (e) {
      const err = asApiError(e)
      error.value = err
      if (!err.stale && Object.keys(err.fields).length === 0) ElMessage.error(err.message)
      return null
    } finally {
      busy.value = false
    }
  }
  return { busy, error, fields, run, clear: () => (error.value = null) }
}
