// A shared object that is no function.

#include <fanfare/function.h>

FANFARE_EXPORT int something_else() {
  return 1;
}
