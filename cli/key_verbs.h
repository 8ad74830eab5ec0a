// fanfare keys: making CURVE keys, what public key a secret one is of, and whether a list of those
// who may come in can be read. `ops/keys` does the rest.
#pragma once

#include <string>

#include "cli/operator_verbs.h"

namespace fanfare::cli {

// Makes `file`, which must not be there, with a new secret key; prints its public key.
int run_keys_new(const Common& common, const std::string& file);
int run_keys_public(const Common& common, const std::string& file);
// Whether a broker could read `file` as its allowed_keys; says what is wrong with it.
int run_keys_check_list(const Common& common, const std::string& file);

// Whichever of them is chosen puts itself into `run`, which must outlive `app`'s parsing.
void add_key_verbs(CLI::App& app, Run& run);

}  // namespace fanfare::cli
