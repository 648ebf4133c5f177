"""Columns of the integer tables that tell the kernels what to do; the same numbers stand in `common.cuh`.

An evaluation is one pass of every kernel over *tables*: a row is a source, an image, a run of bins. The number of calls (on a GPU: of
launches) is therefore the same for one source and for forty. Tables are int64 and made once, when a likelihood is compiled
(`gpudl4.likelihood.tables`); numbers that change with theta travel in one float64 vector per parameter vector, ``params[B, n_params]``,
and tables hold *offsets* into it and into the flat arrays of data.

Flat arrays
-----------
mu, slope : real[B, N]
    All bins of all datasets, row by row: a *row* is one reconstructed energy of one dataset, first the pixels of its active region,
    then bins that are evaluated singly. counts, template, mask and static have the same layout, without B.
exposure : cube[...]
    Per dataset E[L, A], in the active region's columns.
templates : real[B, ...], fixed : real[...]
    Per source T[planes, height, width]: what is folded. Planes are true energies (image x PSF x exposure), or reconstructed ones where
    the PSF acts last. Those in `fixed` never change.
images, adjoint : real[B, ...]
    Per image s[ny, nx], the share of a shape in every pixel of its box, and the derivative of the statistic by it.
parts : float64[B, n_parts]
    Partial sums. Every item of work writes its own place; `contract` adds them in a fixed order.
"""

# A dataset.
D_ROW, D_RECO, D_PIXELS, D_NX, D_AREA, D_NORM, D_SOURCES, D_SOURCES_END = range(8)
# D_ROW: its first row in `rows`; D_RECO: number of its rows; D_PIXELS: offset in `pixels` (map index of each column of the active region);
# D_NX: columns of the map; D_AREA: columns of the active region; D_NORM: offset in params of its background norms[K], -1: no background;
# D_SOURCES, D_SOURCES_END: its sources.

# A row of bins.
R_BEGIN, R_LENGTH = range(2)

# A source in a dataset.
(
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
) = range(22)
# S_LAST: 1 if the PSF acts after the energy dispersion; S_PLANES, S_TRUE, S_RECO: number of planes, true and reconstructed bins;
# S_ROW, S_COLUMN, S_NY, S_NX: its box in the map; S_STARTS: offset in `starts` (column of the active region where each row of the box
# begins); S_EXPOSURE: offset of E[0, 0], -1: exposure 1; S_AREA: stride of the planes of E; S_EDISP: offset of R[L, K];
# S_REACH: offset of first[L], last[L] (range of k per l), low[K], high[K] (range of l per k); S_FLUX: offset in params of F[L];
# S_FIXED: 1 if its templates are in `fixed`; S_TEMPLATES: their offset; S_HEIGHT, S_WIDTH: their size; S_CORNER: offset in params of
# (row, column), in the box, of a template's first pixel, followed by the (row, column) of the lower left of the four pixels; -1: (0, 0);
# S_PSF: offset of the point's kernel[planes, height + 1, width + 1], padded by one zero on every side; S_MIXED: row in `images` of a
# source that has no templates, as `mix` makes its counts of few planes behind the PSF; -1: it has templates.

# A placed point: templates of a source for one set of weights on its four pixels.
P_SOURCE, P_WEIGHT, P_FLUX, P_TEMPLATES, P_PARTS, P_UNFOLDED = range(6)
# P_WEIGHT: offset in params of w[4]; P_FLUX: of F[L] (used where the PSF acts last); P_PARTS: offset in parts of [4, planes];
# P_UNFOLDED: offset in parts of [4, L], -1 where the PSF acts first.

# A group of Fourier transforms of one shape: planes of all its images, batch by batch.
F_IN, F_IN_PLANES, F_OUT, F_OUT_PLANES, F_NY, F_NX, F_SPECTRUM_IN, F_SPECTRUM_OUT, F_MODES = range(9)
# F_IN, F_OUT: real elements of the groups before this one, for one parameter vector (plane i of vector b begins at
# B F_IN + (b F_IN_PLANES + i) NY NX); F_SPECTRUM_IN, F_SPECTRUM_OUT: the same for complex elements; F_MODES: columns of a spectrum, of
# its NX / 2 + 1, that are not negligible; the others count as 0.

# An image: a shape and its way through the PSF.
(
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
) = range(16)
# I_IMAGE: offset in images; I_FLUX: as for points; I_GROUP: its group of transforms, -1: no PSF; I_FIRST_IN, I_FIRST_OUT: its first plane
# in the group before and after the PSF; I_OFFSET_Y, I_OFFSET_X: half the PSF kernel; I_TRANSFER: offset of its transfer function
# [RANK, NY, MODES]; I_TEMPLATES: offset of its templates; I_STRIDE: only every so many rows and columns, starting where the map
# index is a multiple (without PSF only); I_HEIGHT, I_WIDTH: size of its templates; I_RANK: its planes behind the PSF; I_MIXING: offset in
# edisp of V[planes, RANK], from these planes to those of its templates, -1: they are the same; I_STARTS: as S_STARTS, of the source.

# A Gaussian.
G_IMAGE, G_NX, G_NY, G_ROW, G_COLUMN, G_HEIGHT, G_WIDTH, G_SUBPIXELS, G_VECTORS, G_WEIGHTS, G_PARAMETERS = range(11)
# G_IMAGE: offset in images of its box[NY, NX]; G_ROW, G_COLUMN, G_HEIGHT, G_WIDTH: window of the box outside which it is 0;
# G_VECTORS, G_WEIGHTS: offsets of unit vectors[pixels, subpixels, 3] and weights[pixels] of the window; G_PARAMETERS: offset in params of
# longitude, latitude, sigma, e, phi in radian, and then of five factors from own units to radian.

# Items of work. Each is small enough for one block of threads, and each sum over an item has a place of its own in parts.
W_WHAT, W_PLANE, W_Y, W_Y_END, W_PART, W_CHUNKS = range(6)
# W_WHAT: row of the table that the kernel works on (image, Gaussian, place, source); W_PLANE: plane; W_Y, W_Y_END: rows of pixels;
# W_PART: where its first sum goes in parts, -1: no sum; W_CHUNKS: from there to the next sum of the same item.
W_SUMS_ONLY = -1  # instead of a plane, for `mix_pull`: no field is wanted
W_FIELD = 5  # for `fold_pull`, instead of W_CHUNKS: image whose field is written, or -1
C_BEGIN, C_END = range(2)  # a run of bins within one row
O_BEGIN, O_END, O_BESIDE, O_PART, O_NORM = range(5)
# A run of bins within one row of a dataset whose statistic needs more than counts and prediction. O_BESIDE: where its first bin stands in
# the flat arrays of those datasets only (counts_off and alpha, or weight); O_PART, O_NORM: where the statistic and its derivative by the
# norm of the background go in parts.
Q_KIND, Q_FLUX, Q_NUMBERS, Q_BEGINS, Q_PIECES, Q_VALUE, Q_SLOPE = range(7)
# A flux point. Q_KIND: its statistic; Q_FLUX: where its predicted flux stands in params; Q_NUMBERS: where what was
# measured stands in `numbers`; Q_BEGINS, Q_PIECES: where the pieces of a profile begin there, and how many they are; Q_VALUE, Q_SLOPE:
# where its statistic and its slope go in parts.
POINT_CHI2, POINT_SIDED, POINT_LIMIT, POINT_PROFILE = range(4)  # kinds of flux points, see `flux_points`
FOLD_DATASET, FOLD_K, FOLD_K_END, FOLD_BEGIN, FOLD_END, FOLD_MEMBERS, FOLD_MEMBERS_END = range(7)
# bins k .. k_end of columns begin .. end of a dataset's rows; which sources can reach them stands in `members`
SLOPE_SHAPE, SLOPE_PARAMETER, SLOPE_IMAGE = range(3)  # a Gaussian, one of its five parameters, where in images its derivative goes
DOT_IMAGE, DOT_GRADIENT, DOT_BEGIN, DOT_END, DOT_PART = range(5)  # run of pixels of an image and of its derivative made on the host

# An entry of the gradient: sum over a, l, chunks of params[u + a] params[v + l] parts[part + (a N_V + l) chunks + chunk].
E_U, E_N_U, E_V, E_N_V, E_PART, E_CHUNKS = range(6)

# A block of derivative images J[n, K, ny, nx] of one source.
J_SOURCE, J_FIRST, J_COUNT, J_ROW, J_COLUMN, J_NY, J_NX, J_STRIDE = range(8)
# J_FIRST: offset in jacobian; J_ROW, J_COLUMN, J_NY, J_NX: its box in the map thinned out by J_STRIDE.
PAIR_FIRST, PAIR_SECOND, PAIR_PART = range(3)  # two blocks that overlap
