// Rewrites break, continue and early return as assignments, else parts and guards.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <utility>

#include "jit/snippet_tree.hpp"

namespace noyau::jit::snippet {
namespace {

using Statements = std::vector<Node*>;

/// True when control can leave `s` at its end.
bool completes(const Node* s) {
  switch (s->kind) {
    case NodeKind::return_:
    case NodeKind::break_:
    case NodeKind::continue_:
      return false;
    case NodeKind::block:
      for (const Node* kid : s->kids) {
        if (!completes(kid)) return false;
      }
      return true;
    case NodeKind::if_:
      return s->kids.size() < 3 || completes(s->kids[1]) || completes(s->kids[2]);
    case NodeKind::loop: {
      const Node* c = s->kids[0];
      const bool forever = c == nullptr || (c->kind == NodeKind::number && (c->token.integer != 0));
      return !forever || (s->kids[1]->exits & exit_break) != 0;
    }
    default:
      return true;
  }
}

class Normaliser {
 public:
  Normaliser(const Source& source, Tree& tree, FunctionTree& function)
      : source_(source), tree_(tree), function_(function) {}

  void run() {
    Node* body = function_.body;
    const bool is_void = function_.result.kind == TypeName::Kind::none;
    if (!is_void && completes(body)) {
      source_.fail(function_.place, function_.name.size(),
                   fmt::format("'{}' can reach its end without returning a value", function_.name));
    }
    // The usual function: one return, at the end.
    if (!body->kids.empty() && body->kids.back()->kind == NodeKind::return_) {
      last_ = body->kids.back();
      for (std::size_t k = 0; k + 1 < body->kids.size(); ++k) {
        if (body->kids[k]->exits != 0) last_ = nullptr;
      }
    }
    if (last_ == nullptr && !is_void) {
      result_ = add_local("(result)", function_.result);
    }
    Node* all = sequence(body->kids, 0);
    Statements before;
    if (result_ >= 0) {
      before.push_back(node(NodeKind::declare, body, {}, result_));
      all->kids.push_back(
          node(NodeKind::return_, body, {node(NodeKind::variable, body, {}, result_)}));
    }
    if (returned_ >= 0) before.push_back(set(NodeKind::declare, body, returned_, false));
    all->kids.insert(all->kids.begin(), before.begin(), before.end());
    function_.body = all;
  }

 private:
  /// The flags of the innermost loop, made when first needed.
  struct Flags {
    std::int32_t broken = -1, continued = -1;
  };

  Node* node(NodeKind kind, const Node* like, Statements kids = {}, std::int32_t slot = -1) {
    Node* n = tree_.make(kind, like->place, std::move(kids));
    n->length = like->length;
    n->slot = slot;
    return n;
  }

  std::int32_t add_local(const char* name, TypeName type) {
    function_.locals.push_back({name, type, false, false, false});
    return static_cast<std::int32_t>(function_.locals.size()) - 1;
  }
  std::int32_t flag(std::int32_t& slot, const char* name) {
    if (slot < 0) {
      slot = add_local(name, {TypeName::Kind::plain, bool_});
      function_.locals.back().unread = true;
    }
    return slot;
  }

  Node* truth(const Node* like, bool value) {
    Node* n = node(NodeKind::number, like);
    n->token.kind = Token::Kind::integer;
    n->token.type = bool_;
    n->token.integer = value ? 1 : 0;
    return n;
  }
  Node* set(NodeKind kind, const Node* like, std::int32_t slot, bool value) {
    return node(kind, like, {truth(like, value)}, slot);
  }
  Node* raise(const Node* like, std::int32_t slot) {
    return node(NodeKind::evaluate, like, {set(NodeKind::assign, like, slot, true)});
  }
  Node* negated(const Node* like, Node* value) {
    Node* n = node(NodeKind::unary, like, {value});
    n->op = "!";
    return n;
  }
  Node* both(const Node* like, Node* a, Node* b) {
    if (a == nullptr) return b;
    Node* n = node(NodeKind::binary, like, {a, b});
    n->op = "&&";
    return n;
  }

  /// "none of these exits was taken", reading their flags; null when `exits` is 0.
  Node* running(const Node* like, std::uint8_t exits) {
    Node* all = nullptr;
    auto and_not = [&](std::int32_t slot) {
      function_.locals[static_cast<std::size_t>(slot)].unread = false;
      all = both(like, all, negated(like, node(NodeKind::variable, like, {}, slot)));
    };
    if ((exits & exit_return) != 0) and_not(flag(returned_, "(returned)"));
    if ((exits & exit_break) != 0) and_not(flag(flags_.broken, "(broken)"));
    if ((exits & exit_continue) != 0) and_not(flag(flags_.continued, "(continued)"));
    return all;
  }

  /// The statements of `list` up to the first that always exits. What follows one that may exit is
  /// moved to where control goes on, or guarded when that is more than one place.
  Node* sequence(Statements list, int depth) {
    if (depth > 2 * nesting_limit) {
      source_.fail(
          list.empty() ? function_.place : list.front()->place, 1,
          fmt::format("more than {} nested statements and early exits", 2 * nesting_limit));
    }
    Node* out = node(NodeKind::block, list.empty() ? function_.body : list.front());
    for (std::size_t k = 0; k < list.size(); ++k) {
      Node* s = list[k];
      if (s->kind == NodeKind::block && s->exits != 0) {  // its names are resolved: just splice
        Statements spliced(s->kids);
        spliced.insert(spliced.end(), list.begin() + static_cast<std::ptrdiff_t>(k) + 1,
                       list.end());
        list = std::move(spliced);
        k = static_cast<std::size_t>(-1);
        continue;
      }
      if (exit(s, *out)) return out;
      Statements rest(list.begin() + static_cast<std::ptrdiff_t>(k) + 1, list.end());
      if (s->kind == NodeKind::if_ && s->exits != 0) {
        branch(s, std::move(rest), *out, depth);
        return out;
      }
      statement(s, *out, depth);
      if ((s->kind == NodeKind::loop || s->kind == NodeKind::do_loop) && s->exits != 0) {
        guard(s, exit_return, std::move(rest), *out, depth);
        return out;
      }
    }
    return out;
  }

  void guard(const Node* after, std::uint8_t exits, Statements rest, Node& out, int depth) {
    if (rest.empty()) return;
    Node* condition = running(after, exits);
    out.kids.push_back(
        node(NodeKind::if_, after, {condition, sequence(std::move(rest), depth + 1)}));
  }

  /// Emits a statement that always exits; false for any other.
  bool exit(Node* s, Node& out) {
    switch (s->kind) {
      case NodeKind::return_:
        if (s == last_) {
          out.kids.push_back(s);
          return true;
        }
        if (!s->kids.empty()) {
          Node* assign = node(NodeKind::assign, s, {s->kids[0]}, result_);
          out.kids.push_back(node(NodeKind::evaluate, s, {assign}));
        }
        out.kids.push_back(raise(s, flag(returned_, "(returned)")));
        return true;
      case NodeKind::break_:
        out.kids.push_back(raise(s, flag(flags_.broken, "(broken)")));
        return true;
      case NodeKind::continue_:
        out.kids.push_back(raise(s, flag(flags_.continued, "(continued)")));
        return true;
      default:
        return false;
    }
  }

  /// An `if` with an exit inside, and all that follows it.
  void branch(Node* s, Statements rest, Node& out, int depth) {
    Statements yes = {s->kids[1]}, no;
    if (s->kids.size() > 2) no.push_back(s->kids[2]);
    const bool yes_ends = !completes(s->kids[1]);
    const bool no_ends = !no.empty() && !completes(no[0]);
    if (yes_ends && !no_ends) no.insert(no.end(), rest.begin(), rest.end());
    if (no_ends && !yes_ends) yes.insert(yes.end(), rest.begin(), rest.end());
    Node* yes_part = sequence(std::move(yes), depth + 1);
    Node* no_part = sequence(std::move(no), depth + 1);
    out.kids.push_back(node(NodeKind::if_, s, {s->kids[0], yes_part, no_part}));
    if (!yes_ends && !no_ends) guard(s, s->exits, std::move(rest), out, depth);
  }

  /// A statement without exits of its own, except a loop that may return.
  void statement(Node* s, Node& out, int depth) {
    switch (s->kind) {
      case NodeKind::block:
        out.kids.push_back(sequence(s->kids, depth + 1));
        break;
      case NodeKind::if_: {
        Statements kids = {s->kids[0], sequence({s->kids[1]}, depth + 1)};
        if (s->kids.size() > 2) kids.push_back(sequence({s->kids[2]}, depth + 1));
        out.kids.push_back(node(NodeKind::if_, s, std::move(kids)));
        break;
      }
      case NodeKind::loop:
      case NodeKind::do_loop:
        loop(s, out, depth);
        break;
      default:
        out.kids.push_back(s);
    }
  }

  void loop(Node* s, Node& out, int depth) {
    const Flags outer = std::exchange(flags_, {});
    Node* condition = s->kids[0];
    Node* step = s->kids[2];
    const std::uint8_t exits = s->kids[1]->exits & (exit_return | exit_break);
    Node* body = sequence({s->kids[1]}, depth + 1);
    Node* go_on = nullptr;  // tested at the top
    if (s->kind == NodeKind::do_loop) {
      step = stop_unless(condition);
    } else if (condition != nullptr && assigns(condition)) {
      go_on = nullptr;
    } else {
      go_on = condition;
    }
    if (step != nullptr) {
      Node* guarded = step;
      if (exits != 0) guarded = node(NodeKind::if_, s, {running(s, exits), step});
      body = node(NodeKind::block, s, {body, guarded});
    }
    if (condition != nullptr && assigns(condition) && s->kind == NodeKind::loop) {
      Node* stop = raise(s, flag(flags_.broken, "(broken)"));
      (void)running(s, exit_break);
      body = node(NodeKind::if_, s, {condition, body, stop});
    }
    if (flags_.continued >= 0) {
      body = node(NodeKind::block, s, {set(NodeKind::declare, s, flags_.continued, false), body});
    }
    std::uint8_t tested = exits;
    if (flags_.broken >= 0) {
      tested |= exit_break;
      out.kids.push_back(set(NodeKind::declare, s, flags_.broken, false));
    }
    if (Node* run = running(s, tested)) go_on = go_on == nullptr ? run : both(s, run, go_on);
    out.kids.push_back(node(NodeKind::loop, s, {go_on, body, nullptr}));
    flags_ = outer;
  }

  /// broken = !condition
  Node* stop_unless(Node* condition) {
    const std::int32_t slot = flag(flags_.broken, "(broken)");
    function_.locals[static_cast<std::size_t>(slot)].unread = false;
    Node* assign = node(NodeKind::assign, condition, {negated(condition, condition)}, slot);
    return node(NodeKind::evaluate, condition, {assign});
  }

  const Source& source_;
  Tree& tree_;
  FunctionTree& function_;
  const Node* last_ = nullptr;  ///< the only return, when it is the last statement
  std::int32_t result_ = -1, returned_ = -1;
  Flags flags_;
};

}  // namespace

bool assigns(const Node* expression) {
  std::vector<const Node*> open = {expression};
  while (!open.empty()) {
    const Node* n = open.back();
    open.pop_back();
    if (n->kind == NodeKind::assign || n->kind == NodeKind::increment) return true;
    open.insert(open.end(), n->kids.begin(), n->kids.end());
  }
  return false;
}

void normalise(const Source& source, Tree& tree, FunctionTree& function) {
  Normaliser(source, tree, function).run();
}

}  // namespace noyau::jit::snippet
