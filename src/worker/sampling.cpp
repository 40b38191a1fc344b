#include "worker/sampling.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace awm::worker {
namespace {

// Claude Code's own value: the largest budget below its 32000 output tokens. It switches thinking on, also on models
// that think adaptively and where a settings file switches it off.
constexpr std::string_view thinking_on_tokens = "31999";
// The Messages API takes no smaller budget, and a budget must be below max_tokens.
constexpr std::int64_t smallest_budget = 1024;
// With thinking on the API takes these values of sampling parameters alone.
constexpr double temperature_while_thinking = 1.0;
constexpr double least_top_p_while_thinking = 0.95;

std::string in_quotes(std::string_view text) {
  return "\"" + std::string{text} + "\"";
}

/// The sampling options that are given, and which of them are left.
struct sampling {
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<std::int64_t> top_k;

  bool any() const { return temperature || top_p || top_k; }

  std::string names() const {
    std::string text;
    const auto add = [&text](bool given, std::string_view name) {
      if (given) text.append(text.empty() ? "" : ", ").append(name);
    };
    add(temperature.has_value(), "temperature");
    add(top_p.has_value(), "top_p");
    add(top_k.has_value(), "top_k");
    return text;
  }

  bool possible_while_thinking() const {
    return temperature.value_or(temperature_while_thinking) == temperature_while_thinking &&
           top_p.value_or(1.0) >= least_top_p_while_thinking && !top_k;
  }
};

bool takes_one(const model_traits& traits) {
  return traits.sampling == sampling_support::one || traits.sampling == sampling_support::one_without_thinking;
}

/// `sonnet` is redirected by ANTHROPIC_DEFAULT_SONNET_MODEL, and so are the other families.
std::string resolve_model(std::string_view name, const cli_features& features, const environment& variables) {
  const std::string_view plain = name.substr(0, name.find('['));
  const bool is_alias = std::ranges::find(features.aliases, plain, &model_alias::alias) != features.aliases.end();
  if (!is_alias) return std::string{name};
  std::string upper{plain};
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const std::string_view redirected = value_of(variables, "ANTHROPIC_DEFAULT_" + upper + "_MODEL");
  return std::string{redirected.empty() ? resolve_alias(features, name) : redirected};
}

/// The choice in the making. Each step uses what the steps before it decided.
class chooser {
 public:
  chooser(const options& wanted, const cli_features& features, const cli_version& cli, const launch_defaults& defaults,
          const environment& variables)
      : wanted_{wanted},
        features_{features},
        cli_{to_string(cli)},
        defaults_{defaults},
        variables_{variables},
        sampling_{wanted.temperature, wanted.top_p, wanted.top_k} {}

  model_choice choose(const std::optional<std::string>& agent_model) {
    choose_name(agent_model);
    fit_sampling();
    fit_thinking();
    put_sampling();
    fit_fallback();
    fit_effort();
    return std::move(choice_);
  }

 private:
  void choose_name(const std::optional<std::string>& agent_model) {
    if (wanted_.model) {
      set_model(*wanted_.model);
    } else if (agent_model) {
      set_model(*agent_model);
    } else {
      set_model(defaults_.default_model);
      if (sampling_.any() && choice_.traits.sampling == sampling_support::none) use_sampling_model();
    }
    explain_name();
  }

  void set_model(std::string_view name) {
    choice_.model = name;
    choice_.resolved = resolve_model(name, features_, variables_);
    choice_.traits = traits_of(choice_.resolved, defaults_.sampling, name);
    const bool kept = !value_of(variables_, "CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP").empty();
    if (choice_.traits.replaced_by_newest && !kept) follow_replacement();
  }

  void follow_replacement() {
    choice_.resolved = resolve_alias(features_, "opus");
    choice_.traits = traits_of(choice_.resolved, defaults_.sampling);
    warn("model: Claude Code " + cli_ + " runs " + in_quotes(choice_.resolved) + " in place of " +
         in_quotes(choice_.model) + "; set CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP to 1 in env to keep the older one.");
  }

  void use_sampling_model() {
    const std::string refusing = described_model();
    set_model(defaults_.sampling_model);
    warn("model: " + in_quotes(choice_.model) + " was chosen, because the call asks for " + sampling_.names() +
         " and the default model, " + refusing + ", takes no sampling options.");
  }

  void explain_name() {
    if (choice_.traits.known) return;
    warn("model: " + in_quotes(choice_.model) +
         " is no model name that is known here. It is passed on, and treated like the newest models, which take no "
         "sampling options; the [sampling] table of the configuration can say otherwise.");
  }

  void fit_sampling() {
    if (!sampling_.any()) return;
    if (choice_.traits.sampling == sampling_support::none) {
      warn(sampling_.names() + ": dropped, because the model " + described_model() +
           " takes no sampling options. Name no model, or one that does, for example " +
           in_quotes(defaults_.sampling_model) + ".");
      sampling_ = {};
    } else if (takes_one(choice_.traits) && sampling_.temperature && sampling_.top_p) {
      warn("top_p: dropped, because the model " + described_model() +
           " takes temperature or top_p but not both; temperature was kept.");
      sampling_.top_p.reset();
    }
  }

  void fit_thinking() {
    std::optional<thinking_option> thinking = wanted_.thinking;
    if (sampling_.any() && !stays_on_beside_sampling(thinking)) {
      if (thinking != thinking_option{false} && choice_.traits.thinking != thinking_support::none) {
        warn("thinking: switched off, because the model takes " + sampling_.names() + " only while it does not think.");
      }
      thinking = false;
    }
    if (!thinking && budget_has_no_room()) {
      warn("thinking: switched off, because " + described_model() + " needs max_tokens above " +
           std::to_string(smallest_budget) + " to think.");
      thinking = false;
    }
    if (!thinking) return;
    if (const auto* budget = std::get_if<std::int64_t>(&*thinking)) {
      think_for(*budget);
    } else if (std::get<bool>(*thinking)) {
      think();
    } else {
      do_not_think();
    }
  }

  bool stays_on_beside_sampling(const std::optional<thinking_option>& thinking) const {
    const bool asked_for = thinking && *thinking != thinking_option{false};
    return asked_for && choice_.traits.sampling != sampling_support::one_without_thinking &&
           sampling_.possible_while_thinking();
  }

  bool budget_has_no_room() const {
    return choice_.traits.thinking == thinking_support::budget && wanted_.max_tokens &&
           *wanted_.max_tokens <= smallest_budget;
  }

  void think() {
    if (refuses_to_think()) return;
    set("MAX_THINKING_TOKENS", thinking_on_tokens);
    remove("CLAUDE_CODE_DISABLE_THINKING");
  }

  void think_for(std::int64_t budget) {
    if (choice_.traits.thinking == thinking_support::adaptive) {
      warn("thinking: the model " + described_model() +
           " decides by itself how much it thinks; the budget was dropped and thinking is on. Use effort to make it "
           "think "
           "more or less.");
      think();
      return;
    }
    if (refuses_to_think()) return;
    if (wanted_.max_tokens && *wanted_.max_tokens <= budget) {
      warn("thinking: Claude Code lowers the budget to " + std::to_string(*wanted_.max_tokens - 1) +
           ", because it must be below max_tokens.");
    }
    set("MAX_THINKING_TOKENS", std::to_string(budget));
    set("CLAUDE_CODE_DISABLE_ADAPTIVE_THINKING", "1");
    remove("CLAUDE_CODE_DISABLE_THINKING");
  }

  bool refuses_to_think() {
    if (choice_.traits.thinking == thinking_support::none) {
      warn("thinking: dropped, because Claude Code does not let the model " + described_model() + " think.");
      return true;
    }
    if (budget_has_no_room()) {
      choice_.errors.push_back({"max_tokens", std::to_string(*wanted_.max_tokens),
                                "give more than " + std::to_string(smallest_budget) + ", or thinking false"});
      return true;
    }
    return false;
  }

  void do_not_think() {
    if (choice_.traits.thinking == thinking_support::none) return;
    if (choice_.traits.off == thinking_off::omitted) {
      set("CLAUDE_CODE_DISABLE_THINKING", "1");
      warn("thinking: Claude Code cannot switch it off for the model " + described_model() +
           "; it is left out of the requests, and the model may think nevertheless.");
      return;
    }
    remove("CLAUDE_CODE_DISABLE_THINKING");
    if (takes_one(choice_.traits) && sampling_.top_p) {
      hide_thinking_off();
    } else {
      set("MAX_THINKING_TOKENS", "0");
    }
  }

  /// Claude Code adds `temperature: 1` where it knows that thinking is off, and these models refuse that beside top_p.
  /// So it is left in the belief that thinking is on, and the merged body switches it off; the clearing of earlier
  /// thinking, which the API takes only with thinking, goes with it. Measured on 2.1.197 and 2.1.329.
  void hide_thinking_off() {
    set("MAX_THINKING_TOKENS", thinking_on_tokens);
    choice_.extra_body["thinking"] = {{"type", "disabled"}};
    choice_.extra_body["context_management"] = {{"edits", nlohmann::json::array()}};
  }

  void put_sampling() {
    if (!sampling_.any()) return;
    if (sampling_.temperature) choice_.extra_body["temperature"] = *sampling_.temperature;
    if (sampling_.top_p) choice_.extra_body["top_p"] = *sampling_.top_p;
    if (sampling_.top_k) choice_.extra_body["top_k"] = *sampling_.top_k;
    // The merged body is sent with every request, those of subagents on other models included.
    set("CLAUDE_CODE_SUBAGENT_MODEL", choice_.model);
  }

  void fit_fallback() {
    choice_.fallback_model = wanted_.fallback_model;
    if (!wanted_.fallback_model || !sampling_.any()) return;
    std::string_view rest = *wanted_.fallback_model;  // a list with commas, for Claude Code
    while (!rest.empty()) {
      const std::string_view name = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(name.size() + 1, rest.size()));
      if (takes_sampling(name)) continue;
      warn("fallback_model: dropped, because " + in_quotes(name) + " does not take " + sampling_.names() + " as " +
           described_model() + " does.");
      choice_.fallback_model.reset();
      return;
    }
  }

  bool takes_sampling(std::string_view name) const {
    const model_traits traits = traits_of(resolve_model(name, features_, variables_), defaults_.sampling, name);
    if (traits.sampling == sampling_support::none) return false;
    return !takes_one(traits) || !sampling_.temperature || !sampling_.top_p;
  }

  void fit_effort() {
    choice_.effort = wanted_.effort;
    if (!wanted_.effort || choice_.traits.takes_effort) return;
    warn("effort: dropped, because the model " + described_model() + " takes none.");
    choice_.effort.reset();
  }

  std::string described_model() const {
    if (choice_.model == choice_.resolved) return in_quotes(choice_.model);
    return in_quotes(choice_.model) + " (" + choice_.resolved + ")";
  }

  void warn(std::string sentence) { choice_.warnings.push_back(std::move(sentence)); }

  void set(std::string_view name, std::string_view value) {
    choice_.variables.insert_or_assign(std::string{name}, std::string{value});
  }

  void remove(std::string_view name) { choice_.removed_variables.emplace_back(name); }

  const options& wanted_;
  const cli_features& features_;
  std::string cli_;
  const launch_defaults& defaults_;
  const environment& variables_;
  sampling sampling_;
  model_choice choice_;
};

}  // namespace

model_choice choose_model(const options& wanted, const std::optional<std::string>& agent_model,
                          const cli_features& features, const cli_version& cli, const launch_defaults& defaults,
                          const environment& variables) {
  return chooser{wanted, features, cli, defaults, variables}.choose(agent_model);
}

}  // namespace awm::worker
