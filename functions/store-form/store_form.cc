// A contact form's submission: checked, normalised, and kept, as this function's result and as a
// row of its store, which outlives the result: `fanfare store export store-form` makes a table of
// them.

#include <fanfare/function.h>

#include "submission.h"

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) {
  const auto submission =
      store_form::validate(store_form::parse_fields(event.content_type, event.data));
  const std::string_view form = event.source.substr(event.source.rfind('/') + 1);
  context.store().put(store_form::row_key(form, event.id), store_form::to_row(submission, form));
  return fanfare::Output::json(store_form::to_json(submission, form));
}
