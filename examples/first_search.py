"""Tune a support vector machine with FractalSearchCV and draw what happened."""

from scipy.stats import loguniform
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from fractal_tuner import FractalSearchCV, HistoryDisplay, ZoomPathDisplay

X, y = load_breast_cancer(return_X_y=True)
model = make_pipeline(StandardScaler(), SVC())
space = {"svc__C": loguniform(1e-2, 1e3), "svc__gamma": loguniform(1e-5, 1)}
search = FractalSearchCV(model, space, n_iter=30, random_state=0, n_jobs=-1).fit(X, y)
print(f"{search.best_params_}: cross-validated accuracy {search.best_score_:.3f}")

for display, file in [(HistoryDisplay, "history.png"), (ZoomPathDisplay, "zoom-path.png")]:
    display.from_search(search, score_name="accuracy").plot().figure_.savefig(file, dpi=120)
    print("wrote", file)
