// Columns of the integer tables. Made from tables.py, which says what each of them means: edit that file and run `make tables`.
// A row of a table begins at `table + PREFIX_SIZE * row`.
#pragma once

enum { D_ROW, D_RECO, D_PIXELS, D_NX, D_AREA, D_NORM, D_SOURCES, D_SOURCES_END, D_SIZE };
enum { R_BEGIN, R_LENGTH, R_SIZE };
enum {
    S_DATASET,
    S_LAST,
    S_PLANES,
    S_TRUE,
    S_RECO,
    S_ROW,
    S_COLUMN,
    S_NY,
    S_NX,
    S_STARTS,
    S_EXPOSURE,
    S_AREA,
    S_EDISP,
    S_REACH,
    S_FLUX,
    S_FIXED,
    S_TEMPLATES,
    S_HEIGHT,
    S_WIDTH,
    S_CORNER,
    S_PSF,
    S_MIXED,
    S_SIZE,
};
enum { P_SOURCE, P_WEIGHT, P_FLUX, P_TEMPLATES, P_PARTS, P_UNFOLDED, P_SIZE };
enum { F_IN, F_IN_PLANES, F_OUT, F_OUT_PLANES, F_NY, F_NX, F_SPECTRUM_IN, F_SPECTRUM_OUT, F_SIZE };
enum {
    I_SOURCE,
    I_IMAGE,
    I_FLUX,
    I_GROUP,
    I_FIRST_IN,
    I_FIRST_OUT,
    I_OFFSET_Y,
    I_OFFSET_X,
    I_TRANSFER,
    I_TEMPLATES,
    I_STRIDE,
    I_HEIGHT,
    I_WIDTH,
    I_RANK,
    I_MIXING,
    I_STARTS,
    I_SIZE,
};
enum { G_IMAGE, G_NX, G_NY, G_ROW, G_COLUMN, G_HEIGHT, G_WIDTH, G_SUBPIXELS, G_VECTORS, G_WEIGHTS, G_PARAMETERS, G_SIZE };
enum { W_WHAT, W_PLANE, W_Y, W_Y_END, W_PART, W_CHUNKS, W_SIZE, W_SUMS_ONLY = -1, W_FIELD = 5 };
enum { C_BEGIN, C_END, C_SIZE };
enum { O_BEGIN, O_END, O_BESIDE, O_PART, O_NORM, O_SIZE };
enum { FOLD_DATASET, FOLD_K, FOLD_K_END, FOLD_BEGIN, FOLD_END, FOLD_MEMBERS, FOLD_MEMBERS_END, FOLD_SIZE };
enum { SLOPE_SHAPE, SLOPE_PARAMETER, SLOPE_IMAGE, SLOPE_SIZE };
enum { DOT_IMAGE, DOT_GRADIENT, DOT_BEGIN, DOT_END, DOT_PART, DOT_SIZE };
enum { E_U, E_N_U, E_V, E_N_V, E_PART, E_CHUNKS, E_SIZE };
enum { J_SOURCE, J_FIRST, J_COUNT, J_ROW, J_COLUMN, J_NY, J_NX, J_STRIDE, J_SIZE };
enum { PAIR_FIRST, PAIR_SECOND, PAIR_PART, PAIR_SIZE };
