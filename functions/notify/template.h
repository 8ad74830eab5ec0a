// Texts with {{placeholders}}.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace notify {

// Replaces each {{a.b}} by the value found along that path in `values`; strings stand as they are,
// everything else as JSON. Throws fanfare::Failure TemplateError, not retryable: a path that leads
// nowhere, or braces that do not close.
std::string render(std::string_view text, const nlohmann::json& values);

}  // namespace notify
