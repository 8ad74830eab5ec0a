// A contact form's submission: checked, normalised, and kept as this function's result.

#include <fanfare/function.h>

#include "submission.h"

FANFARE_FUNCTION(const fanfare::Event& event) {
  const auto submission =
      store_form::validate(store_form::parse_fields(event.content_type, event.data));
  return fanfare::Output::json(
      store_form::to_json(submission, event.source.substr(event.source.rfind('/') + 1)));
}
