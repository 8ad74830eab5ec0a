// Asking a person before something is lost for good.
#pragma once

#include <string>

#include "base/result.h"

namespace fanfare::cli {

// True if a person at the terminal answers yes to `question`. Fails (usage) where nobody can be
// asked, because standard input is no terminal: --yes is the answer then.
Result<bool> confirm(const std::string& question);

}  // namespace fanfare::cli
