import { ref } from 'vue'

// failure is why the program could not even be asked who is logged in; "" is none.
export const failure = ref('')
