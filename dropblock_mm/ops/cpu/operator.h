/* The compilers' operators as torch calls them, by the stable C interface of libtorch.
 *
 * A compiled step calls each of them once a site, when its caches hold other things. To go
 * through Python there takes longer than to draw. Nothing of torch is needed to build this:
 * native.py looks the functions up, as it does those of OpenMP, and gives the operators to
 * torch; where torch lacks one, traced.py's in Python stay.
 */
#ifndef DROPBLOCK_OPERATOR_H
#define DROPBLOCK_OPERATOR_H

#define MOST_SIDES 5 /* of a shape: images, channels, three of a volume */
#define RECIPES 256  /* of which there is one for each shape of a model */
#define MESSAGE 512

typedef uint64_t Value; /* StableIValue: a handle, a number or a truth value */
typedef void *Handle;   /* of a tensor or of a list; whoever is given one deletes it */

/* Names and arguments as in torch/csrc/stable/c/shim.h and inductor's shim.h. */
static struct {
    int32_t (*list_size)(Handle, size_t *);
    int32_t (*list_get_item)(Handle, size_t, Value *);
    int32_t (*delete_list)(Handle);
    int32_t (*get_dtype)(Handle, int32_t *);
    int32_t (*get_data_ptr)(Handle, void **);
    int32_t (*empty_strided)(Int, const Int *, const Int *, int32_t, int32_t, int32_t,
                             Handle *);
    int32_t (*delete_tensor)(Handle);
    int32_t (*get_num_threads)(uint32_t *);
    void (*check)(char, const char *, const char *, uint32_t, const char *); /* throws */
    int32_t (*float32)(void), (*int64)(void), (*uint8)(void), (*cpu)(void);
} torch;
#define TORCH_FUNCTIONS 13

/* What a mask is called by, and what plan.py works out for it. */
typedef struct {
    Int sides, shape[MOST_SIDES], block[MOST_SIDES]; /* 0 behind the last */
} Question;
typedef struct {
    Int layout[LAYOUT];
    double rarest, dearest; /* shares between which seeds are drawn by gaps */
} Answer;
static struct {
    Question question;
    Answer answer;
} recipes[RECIPES]; /* what has been written stays as it is, so readers need no lock */
static int recipes_known;
static PyObject *ask; /* (shape, block) -> bytes of an answer */

static PyObject *as_tuple(const Int *numbers, Int size) {
    PyObject *tuple = PyTuple_New((Py_ssize_t)size);
    for (Int k = 0; tuple && k < size; ++k) {
        PyObject *number = PyLong_FromLongLong(numbers[k]);
        if (!number || PyTuple_SetItem(tuple, (Py_ssize_t)k, number)) Py_CLEAR(tuple);
    }
    return tuple;
}

/* Write down what Python raised, instead of it. */
static void describe(char *message) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *text = value ? PyObject_Str(value) : NULL;
    PyObject *bytes = text ? PyUnicode_AsUTF8String(text) : NULL;
    const char *found = bytes ? PyBytes_AsString(bytes) : NULL;
    PyOS_snprintf(message, MESSAGE, "%s", found ? found : "unknown error");
    PyErr_Clear();
    Py_XDECREF(bytes), Py_XDECREF(text);
    Py_XDECREF(type), Py_XDECREF(value), Py_XDECREF(trace);
}

/* Ask Python and, while there is room, remember; one thread at a time has the GIL. */
static int ask_python(const Question *question, Answer *answer, char *message) {
    const PyGILState_STATE state = PyGILState_Ensure();
    PyObject *shape = as_tuple(question->shape, question->sides);
    PyObject *block = as_tuple(question->block, question->sides - 2);
    PyObject *found =
        shape && block ? PyObject_CallFunctionObjArgs(ask, shape, block, NULL) : NULL;
    char *bytes;
    Py_ssize_t size;
    const int is_found = found && !PyBytes_AsStringAndSize(found, &bytes, &size);
    if (is_found && size == (Py_ssize_t)sizeof *answer) {
        memcpy(answer, bytes, sizeof *answer);
        const int known = __atomic_load_n(&recipes_known, __ATOMIC_RELAXED);
        if (known < RECIPES) {
            recipes[known].question = *question;
            recipes[known].answer = *answer;
            __atomic_store_n(&recipes_known, known + 1, __ATOMIC_RELEASE);
        }
    } else if (is_found) {
        PyOS_snprintf(message, MESSAGE, "%d bytes are no recipe", (int)size);
    } else {
        describe(message);
    }
    Py_XDECREF(found), Py_XDECREF(shape), Py_XDECREF(block);
    PyGILState_Release(state);
    return !*message;
}

static int find_recipe(const Question *question, Answer *answer, char *message) {
    const int known = __atomic_load_n(&recipes_known, __ATOMIC_ACQUIRE);
    for (int k = 0; k < known; ++k) {
        if (memcmp(&recipes[k].question, question, sizeof *question)) continue;
        *answer = recipes[k].answer;
        return 1;
    }
    return ask_python(question, answer, message);
}

/* Numbers of a list, at most so many, or -1. */
static Int read_list(Handle list, Int *numbers) {
    size_t size;
    if (torch.list_size(list, &size) || size > MOST_SIDES) return -1;
    for (size_t k = 0; k < size; ++k) {
        Value value;
        if (torch.list_get_item(list, k, &value)) return -1;
        numbers[k] = (Int)value;
    }
    return (Int)size;
}

static int read_question(Question *question, Handle shape, Handle block) {
    memset(question, 0, sizeof *question);
    question->sides = read_list(shape, question->shape);
    return question->sides > 2 && read_list(block, question->block) == question->sides - 2;
}

/* The memory of a tensor with a number of a dtype. */
static const void *number_of(Handle tensor, int32_t dtype) {
    int32_t found;
    void *memory;
    if (torch.get_dtype(tensor, &found) || found != dtype) return NULL;
    return torch.get_data_ptr(tensor, &memory) ? NULL : memory;
}

static Handle new_tensor(Int sides, const Int *shape, const Int *steps, int32_t dtype,
                         void **memory) {
    Handle tensor;
    if (torch.empty_strided(sides, shape, steps, dtype, torch.cpu(), 0, &tensor))
        return NULL;
    if (!torch.get_data_ptr(tensor, memory)) return tensor;
    torch.delete_tensor(tensor);
    return NULL;
}

/* A tensor of bytes, whose channels lie behind each other if so asked for. */
static Handle new_mask(const Question *question, int channels_last, void **memory) {
    const Int *shape = question->shape;
    Int steps[MOST_SIDES], step = 1;
    for (Int k = question->sides - 1; k >= 0; --k) {
        steps[k] = step;
        step *= shape[k] > 1 ? shape[k] : 1;
    }
    if (channels_last) {
        steps[1] = 1, steps[3] = shape[1], steps[2] = shape[3] * shape[1];
    }
    return new_tensor(question->sides, shape, steps, torch.uint8(), memory);
}

/* Draw what is asked for; the mask, and its count where there is a place for it. */
static void draw_tensors(Value *stack, int use, Handle *mask, Handle *kept, char *message) {
    Question question;
    Answer answer;
    Draw draw = {0};
    Apply apply = {0};
    void *out, *count = NULL;
    const int channels_last = (stack[4] & 255) != 0;
    const float *gamma = number_of((Handle)(uintptr_t)stack[0], torch.float32());
    const Int *key = number_of((Handle)(uintptr_t)stack[1], torch.int64());
#define SAY(words) PyOS_snprintf(message, MESSAGE, "%s", words)
    if (!gamma || !key) {
        SAY("gamma is to be a float32 and key an int64 on the CPU");
        return;
    }
    if (!read_question(&question, (Handle)(uintptr_t)stack[2], (Handle)(uintptr_t)stack[3]) ||
        (channels_last && question.sides != 4)) {
        SAY("shape is to be (N, C, *size), block as long as size, channels_last of maps");
        return;
    }
    if (!find_recipe(&question, &answer, message)) return;
    *mask = new_mask(&question, channels_last, &out);
    if (kept) *kept = new_tensor(0, answer.layout, answer.layout, torch.int64(), &count);
    uint32_t threads = 1;
    if (!*mask || (kept && !*kept) || torch.get_num_threads(&threads)) {
        SAY("no memory for a mask");
        return;
    }
    const double share = *gamma;
    const int way = answer.rarest < share && share < answer.dearest ? BY_GAPS : BY_BITS;
    const Asked asked = {NULL, 0, way, (unsigned long long)*key, share, 0};
    read_layout(&draw, &apply, answer.layout, &asked);
    apply.out = (char *)out;
    if (!write_mask(&draw, &apply, channels_last, use, (int)threads)) {
        SAY("no memory for a mask");
        return;
    }
    const Int units = apply.images * apply.channels * apply.units;
    if (kept) *(Int *)count = units - draw.dropped;
#undef SAY
}

/* (gamma, key, shape, block, channels_last) become a mask, and a count of what it keeps. */
static void call_operator(Value *stack, int use, int counts) {
    char message[MESSAGE] = "";
    Handle mask = NULL, kept = NULL;
    draw_tensors(stack, use, &mask, counts ? &kept : NULL, message);
    for (int k = 0; k < 2; ++k) {
        torch.delete_tensor((Handle)(uintptr_t)stack[k]);
        torch.delete_list((Handle)(uintptr_t)stack[k + 2]);
    }
    if (*message) {
        if (mask) torch.delete_tensor(mask);
        if (kept) torch.delete_tensor(kept);
        torch.check(0, __func__, "operator.h", __LINE__, message);
        return;
    }
    stack[0] = (Value)(uintptr_t)mask;
    if (counts) stack[1] = (Value)(uintptr_t)kept;
}

static void drop_mask(Value *stack, uint64_t arguments, uint64_t results) {
    (void)arguments, (void)results;
    call_operator(stack, KEEP, 1);
}

static void drop_mask_again(Value *stack, uint64_t arguments, uint64_t results) {
    (void)arguments, (void)results;
    call_operator(stack, AGAIN, 0);
}

/* use_torch(addresses, ask) -> (int, int); of libtorch's functions in the order above, and
 * what is asked for a recipe: the addresses of both operators */
static PyObject *use_torch(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *asked;
    const char *addresses;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(args, "y#O", &addresses, &bytes, &asked)) return NULL;
    if (bytes != (Py_ssize_t)sizeof torch || bytes != TORCH_FUNCTIONS * sizeof(void (*)(void)))
        return PyErr_Format(PyExc_ValueError, "%zd bytes are not %d addresses", bytes,
                            TORCH_FUNCTIONS);
    memcpy(&torch, addresses, sizeof torch);
    Py_INCREF(asked);
    PyObject *before = ask;
    ask = asked;
    Py_XDECREF(before);
    return Py_BuildValue("(KK)", (unsigned long long)(uintptr_t)drop_mask,
                         (unsigned long long)(uintptr_t)drop_mask_again);
}

#endif
